-- One row per conversion (or refund that reverses nothing by name) and exposure it counts for:
-- conversion_id, kind, reverses, value_micros, conversion_micros, refund_window_micros, experiment,
-- event_id.
SELECT
    c.event_id AS conversion_id, c.kind, c.reverses, c.value_micros,
    c.ts_micros AS conversion_micros, s.refund_micros AS refund_window_micros,
    s.experiment, s.event_id
FROM conversions AS c
JOIN stood AS s ON s.event_id = c.impression_id AND s.impressions = 1
LEFT JOIN first_clicks AS f ON f.event_id = s.event_id AND f.experiment = s.experiment
WHERE c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
  AND c.ts_micros >= s.ts_micros - $early_micros
  AND c.ts_micros <= coalesce(f.first_click_micros, s.ts_micros) + s.conversion_micros
      + CASE WHEN c.kind = 'refund' THEN s.refund_micros ELSE 0 END
UNION ALL
SELECT
    c.event_id, c.kind, c.reverses, c.value_micros,
    c.ts_micros, s.refund_micros, s.experiment, s.event_id
FROM conversions AS c
JOIN first_exposures AS s ON s.unit_id = c.unit_id
WHERE c.impression_id IS NULL
  AND c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
  AND c.ts_micros >= s.ts_micros
  AND c.ts_micros <= s.ts_micros + s.conversion_micros
      + CASE WHEN c.kind = 'refund' THEN s.refund_micros ELSE 0 END;
