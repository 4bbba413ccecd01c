-- One row per variant, first_place and place of the table unit_sums: over the units whose first place
-- that is, the sums of products of what they did before the experiment (x1, x2, of staged_histories;
-- zero where a unit is not in it) with the metric's numerator (k) and denominator (n) at the place. Where
-- both places are one, also the sums of x1 and x2, of their squares and product, and how many units have
-- a history. Everything is an exact integer.
WITH firsts AS (
    SELECT variant, unit, MIN(place) AS first_place
    FROM unit_sums
    GROUP BY variant, unit
),

known AS (
    SELECT
        t.variant,
        f.first_place,
        t.place,
        t.k,
        t.n,
        CASE WHEN h.unit_id IS NULL THEN 0 ELSE 1 END AS has_history,
        CAST(COALESCE(h.x1, 0) AS DECIMAL(19, 0)) AS x1,
        CAST(COALESCE(h.x2, 0) AS DECIMAL(19, 0)) AS x2
    FROM unit_sums AS t
    JOIN firsts AS f ON f.variant = t.variant AND f.unit = t.unit
    LEFT JOIN staged_histories AS h ON h.unit_id = t.unit
)

SELECT
    variant,
    first_place,
    place,
    SUM(x1 * k) AS x1k,
    SUM(x1 * n) AS x1n,
    SUM(x2 * k) AS x2k,
    SUM(x2 * n) AS x2n,
    SUM(CASE WHEN place = first_place THEN x1 ELSE 0 END) AS x1,
    SUM(CASE WHEN place = first_place THEN x2 ELSE 0 END) AS x2,
    SUM(CASE WHEN place = first_place THEN x1 * x1 ELSE 0 END) AS x1x1,
    SUM(CASE WHEN place = first_place THEN x1 * x2 ELSE 0 END) AS x1x2,
    SUM(CASE WHEN place = first_place THEN x2 * x2 ELSE 0 END) AS x2x2,
    SUM(CASE WHEN place = first_place THEN has_history ELSE 0 END) AS units_with_history
FROM known
GROUP BY variant, first_place, place
ORDER BY variant, first_place, place
