-- One row per conversion (or refund that reverses nothing by name) and exposure it counts for:
-- conversion_id, kind, reverses, value_micros, conversion_micros, refund_window_micros, experiment,
-- event_id. Money is counted by the experiment's own rates: one product and one floor of doubles
-- below 2^52 are the same on every engine.
SELECT
    c.event_id AS conversion_id, c.kind, c.reverses,
    CAST(SIGN(c.paid_micros) * FLOOR(ABS(c.paid_micros) * x.rate + 0.5) AS BIGINT) AS value_micros,
    c.ts_micros AS conversion_micros, s.refund_micros AS refund_window_micros,
    s.experiment, s.event_id
FROM conversions AS c
JOIN stood AS s
    ON s.key_hash = c.impression_hash AND s.event_id = c.impression_id AND s.impressions = 1
JOIN rates AS x ON x.experiment = s.experiment AND x.currency = c.currency
LEFT JOIN first_clicks AS f ON f.event_id = s.event_id AND f.experiment = s.experiment
WHERE c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
  AND c.ts_micros >= s.ts_micros - $early_micros
  AND c.ts_micros <= coalesce(f.first_click_micros, s.ts_micros) + s.conversion_micros
      + CASE WHEN c.kind = 'refund' THEN s.refund_micros ELSE 0 END
UNION ALL
SELECT
    c.event_id, c.kind, c.reverses,
    CAST(SIGN(c.paid_micros) * FLOOR(ABS(c.paid_micros) * x.rate + 0.5) AS BIGINT),
    c.ts_micros, s.refund_micros, s.experiment, s.event_id
FROM conversions AS c
JOIN first_exposures AS s ON s.unit_id = c.unit_id
JOIN rates AS x ON x.experiment = s.experiment AND x.currency = c.currency
WHERE c.impression_id IS NULL
  AND c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
  AND c.ts_micros >= s.ts_micros
  AND c.ts_micros <= s.ts_micros + s.conversion_micros
      + CASE WHEN c.kind = 'refund' THEN s.refund_micros ELSE 0 END;
