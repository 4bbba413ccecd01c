-- The first exposure of each unit that converted without naming an impression, per experiment;
-- assigned ones while the experiment ran come before all others: unit_id, experiment, event_id,
-- ts_micros, conversion_micros, refund_micros.
SELECT unit_id, experiment, event_id, ts_micros, conversion_micros, refund_micros
FROM (
    SELECT
        s.unit_id, s.experiment, s.event_id, s.ts_micros, s.conversion_micros, s.refund_micros,
        row_number() OVER (
            PARTITION BY s.experiment, s.unit_id
            ORDER BY
                CASE WHEN s.reason = 'assigned' AND NOT s.outside_phase THEN 0 ELSE 1 END,
                s.ts_micros, s.event_id
        ) AS place
    FROM stood AS s
    WHERE s.unit_id IN (
        SELECT unit_id FROM conversions WHERE impression_id IS NULL AND unit_id IS NOT NULL
    )
) AS ranked
WHERE place = 1;
