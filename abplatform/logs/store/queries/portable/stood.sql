-- One row per (impression or held decision) and experiment, with what the experiment says of it: the
-- impression's own columns, impressions (1, or 0 for a held decision), attribution_micros,
-- conversion_micros, refund_micros, final_micros, outside_phase.
SELECT
    s.experiment, s.variant, s.unit_id, s.unit_slice, s.event_id, s.ts_micros, s.day, s.source,
    s.creative_id, s.product_id, s.category, s.channel, s.country, s.segment,
    s.reason, s.known_bot, s.impressions,
    e.attribution_micros, e.conversion_micros, e.refund_micros,
    s.ts_micros + e.attribution_micros + e.late_micros AS final_micros,
    r.experiment IS NULL AS outside_phase
FROM (
    SELECT
        experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
        creative_id, product_id, category, channel, country, segment,
        reason, known_bot, CAST(1 AS BIGINT) AS impressions
    FROM impressions
    WHERE experiment IS NOT NULL
      AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT
        experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
        creative_id, product_id, category, channel, country, segment,
        CASE WHEN reason IN ('forced', 'fallback', 'holdout') THEN reason ELSE 'assigned' END,
        known_bot, CAST(0 AS BIGINT)
    FROM decisions
    WHERE experiment IS NOT NULL AND action = 'hold'
      AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
) AS s
JOIN experiments AS e ON e.experiment = s.experiment
LEFT JOIN running AS r
    ON r.experiment = s.experiment AND s.ts_micros >= r.starts_micros AND s.ts_micros < r.ends_micros;
