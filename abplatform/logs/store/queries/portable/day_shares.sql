-- Costs of a variant's day, spread evenly over its impressions of that day so that they add up to
-- the last millionth, and the shares of other days as they were: experiment, event_id,
-- cost_micros.
SELECT
    s.experiment, s.event_id,
    CAST((d.cost_micros - d.cost_micros % s.shown) / s.shown AS BIGINT)
        + CASE WHEN s.place <= d.cost_micros % s.shown THEN 1 ELSE 0 END AS cost_micros
FROM (
    SELECT
        experiment, variant, day, event_id,
        row_number() OVER (
            PARTITION BY experiment, variant, day ORDER BY ts_micros, event_id
        ) AS place,
        count(*) OVER (PARTITION BY experiment, variant, day) AS shown
    FROM stood
    WHERE impressions = 1
) AS s
JOIN touched_cells AS t
    ON t.experiment = s.experiment AND t.variant = s.variant AND t.day = s.day
JOIN (
    SELECT
        c.experiment, c.variant, c.day,
        CAST(sum(CAST(FLOOR(c.paid_micros * x.rate + 0.5) AS BIGINT)) AS BIGINT) AS cost_micros
    FROM costs AS c
    JOIN rates AS x ON x.experiment = c.experiment AND x.currency = c.currency
    WHERE c.impression_id IS NULL
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
    GROUP BY c.experiment, c.variant, c.day
) AS d ON d.experiment = s.experiment AND d.variant = s.variant AND d.day = s.day
UNION ALL
SELECT o.experiment, o.event_id, o.share_micros AS cost_micros
FROM exposure_outcomes AS o
JOIN touched_places AS p ON p.segment_number = o.segment_number AND p.line = o.line
LEFT JOIN touched_cells AS t
    ON t.experiment = o.experiment AND t.variant = o.variant AND t.day = o.day
WHERE t.experiment IS NULL AND o.share_micros <> 0;
