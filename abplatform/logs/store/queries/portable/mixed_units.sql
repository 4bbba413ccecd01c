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
        SELECT experiment, unit_id, variant, min(ts_micros) AS first_micros
        FROM stood
        WHERE reason = 'assigned' AND NOT outside_phase
        GROUP BY experiment, unit_id, variant
    ) AS by_variant
) AS ranked
WHERE place = 2;
