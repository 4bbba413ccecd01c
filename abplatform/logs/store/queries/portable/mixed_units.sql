-- Units that were assigned to two variants of one experiment while it ran, and the first exposure in
-- the second of them: experiment, unit_id, mixed_micros.
SELECT experiment, unit_id, first_micros AS mixed_micros
FROM (
    SELECT
        experiment, unit_id, first_micros,
        row_number() OVER (
            PARTITION BY experiment, unit_id ORDER BY first_micros, variant
        ) AS place
    FROM (
        SELECT e.experiment, e.unit_id, e.variant, min(e.ts_micros) AS first_micros
        FROM exposed AS e
        JOIN mixed_candidates AS m ON m.experiment = e.experiment AND m.unit_id = e.unit_id
        JOIN running AS r
            ON r.experiment = e.experiment
           AND e.ts_micros >= r.starts_micros AND e.ts_micros < r.ends_micros
        WHERE e.reason = 'assigned'
          AND e.segment_number <= $known_until
          AND e.ts_micros <= $until_micros
          AND (e.withdrawn_by IS NULL OR e.withdrawn_by > $known_until)
        GROUP BY e.experiment, e.unit_id, e.variant
    ) AS by_variant
) AS ranked
WHERE place = 2
UNION ALL
SELECT k.experiment, k.unit_id, k.mixed_micros
FROM kept_mixed AS k
LEFT JOIN mixed_candidates AS m ON m.experiment = k.experiment AND m.unit_id = k.unit_id
WHERE m.unit_id IS NULL;
