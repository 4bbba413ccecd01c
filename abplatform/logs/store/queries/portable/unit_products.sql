-- One row per variant and two places of the table unit_sums, of which the first is not the later one:
-- over the units the sums of products of their totals at both, of the metric's numerator (k),
-- denominator (n), and of u, which is one at the first place at which a unit appears. Where both places
-- are one, also the sums themselves, how many units have a row there (units), a total that is not zero
-- (n_units, k_units), and how many have their first such place here (u, first_n, first_k). Everything is
-- an exact integer.
WITH firsts AS (
    SELECT
        variant,
        unit,
        MIN(place) AS place,
        MIN(CASE WHEN n <> 0 THEN place END) AS n_place,
        MIN(CASE WHEN k <> 0 THEN place END) AS k_place
    FROM unit_sums
    GROUP BY variant, unit
),

placed AS (
    SELECT
        t.variant,
        t.unit,
        t.place,
        t.k,
        t.n,
        CASE WHEN t.place = f.place THEN 1 ELSE 0 END AS u,
        CASE WHEN t.place = f.n_place THEN 1 ELSE 0 END AS first_n,
        CASE WHEN t.place = f.k_place THEN 1 ELSE 0 END AS first_k
    FROM unit_sums AS t
    JOIN firsts AS f ON f.variant = t.variant AND f.unit = t.unit
)

SELECT
    a.variant,
    a.place AS first_place,
    b.place AS second_place,
    SUM(a.k * b.k) AS kk,
    SUM(a.k * b.n) AS kn,
    SUM(a.k * b.u) AS ku,
    SUM(a.n * b.k) AS nk,
    SUM(a.n * b.n) AS nn,
    SUM(a.n * b.u) AS nu,
    SUM(a.u * b.k) AS uk,
    SUM(a.u * b.n) AS un,
    SUM(a.u * b.u) AS uu,
    SUM(CASE WHEN a.place = b.place THEN a.k ELSE 0 END) AS k,
    SUM(CASE WHEN a.place = b.place THEN a.n ELSE 0 END) AS n,
    SUM(CASE WHEN a.place = b.place THEN a.u ELSE 0 END) AS u,
    SUM(CASE WHEN a.place = b.place THEN 1 ELSE 0 END) AS units,
    SUM(CASE WHEN a.place = b.place AND a.n <> 0 THEN 1 ELSE 0 END) AS n_units,
    SUM(CASE WHEN a.place = b.place AND a.k <> 0 THEN 1 ELSE 0 END) AS k_units,
    SUM(CASE WHEN a.place = b.place THEN a.first_n ELSE 0 END) AS first_n,
    SUM(CASE WHEN a.place = b.place THEN a.first_k ELSE 0 END) AS first_k
FROM placed AS a
JOIN placed AS b ON b.variant = a.variant AND b.unit = a.unit AND a.place <= b.place
GROUP BY a.variant, a.place, b.place
ORDER BY a.variant, a.place, b.place
