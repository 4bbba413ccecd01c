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
        SELECT s.experiment, s.unit_id, s.variant, min(s.ts_micros) AS first_micros
        FROM stood AS s
        JOIN (
            SELECT experiment, unit_id
            FROM stood
            WHERE reason = 'assigned' AND NOT outside_phase
            GROUP BY experiment, unit_id
            HAVING min(variant) <> max(variant)
        ) AS m ON m.experiment = s.experiment AND m.unit_id = s.unit_id
        WHERE s.reason = 'assigned' AND NOT s.outside_phase
        GROUP BY s.experiment, s.unit_id, s.variant
    ) AS by_variant
) AS ranked
WHERE place = 2;
