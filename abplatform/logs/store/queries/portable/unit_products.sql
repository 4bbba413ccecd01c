-- One row per variant and two places of the table unit_sums, of which the first is not the later one:
-- over the units the sums of products of their totals at both, of the metric's numerator (k),
-- denominator (n), and of u, which is one at the first place at which a unit appears. Where both places
-- are one, also the sums themselves, how many units have a row there (units), a total that is not zero
-- (n_units, k_units), and how many have their first such place here (u, first_n, first_k). Everything is
-- an exact integer.
-- Places are numbered in their order, since the many comparisons of two cost far less between numbers
-- than between names.
WITH places AS (
    SELECT
        place,
        ROW_NUMBER() OVER (ORDER BY place) AS number
    FROM (SELECT DISTINCT place FROM unit_sums) AS named
),

numbered AS (
    SELECT
        t.variant,
        t.unit,
        p.number AS place,
        t.k,
        t.n
    FROM unit_sums AS t
    JOIN places AS p ON p.place = t.place
),

firsts AS (
    SELECT
        variant,
        unit,
        MIN(place) AS place,
        MIN(CASE WHEN n <> 0 THEN place END) AS n_place,
        MIN(CASE WHEN k <> 0 THEN place END) AS k_place
    FROM numbered
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
    FROM numbered AS t
    JOIN firsts AS f ON f.variant = t.variant AND f.unit = t.unit
),

sums AS (
    SELECT
        variant,
        place AS first_place,
        place AS second_place,
        SUM(k * k) AS kk,
        SUM(k * n) AS kn,
        SUM(k * u) AS ku,
        SUM(n * k) AS nk,
        SUM(n * n) AS nn,
        SUM(n * u) AS nu,
        SUM(u * k) AS uk,
        SUM(u * n) AS un,
        SUM(u * u) AS uu,
        SUM(k) AS k,
        SUM(n) AS n,
        SUM(u) AS u,
        COUNT(*) AS units,
        SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) AS n_units,
        SUM(CASE WHEN k <> 0 THEN 1 ELSE 0 END) AS k_units,
        SUM(first_n) AS first_n,
        SUM(first_k) AS first_k
    FROM placed
    GROUP BY variant, place
    UNION ALL
    -- A unit's first place is never the later one of two, so that u is zero there.
    SELECT
        a.variant,
        a.place AS first_place,
        b.place AS second_place,
        SUM(a.k * b.k) AS kk,
        SUM(a.k * b.n) AS kn,
        0 AS ku,
        SUM(a.n * b.k) AS nk,
        SUM(a.n * b.n) AS nn,
        0 AS nu,
        SUM(a.u * b.k) AS uk,
        SUM(a.u * b.n) AS un,
        0 AS uu,
        0 AS k,
        0 AS n,
        0 AS u,
        0 AS units,
        0 AS n_units,
        0 AS k_units,
        0 AS first_n,
        0 AS first_k
    FROM placed AS a
    JOIN placed AS b ON b.variant = a.variant AND b.unit = a.unit AND a.place < b.place
    GROUP BY a.variant, a.place, b.place
)

SELECT
    s.variant,
    a.place AS first_place,
    b.place AS second_place,
    s.kk,
    s.kn,
    s.ku,
    s.nk,
    s.nn,
    s.nu,
    s.uk,
    s.un,
    s.uu,
    s.k,
    s.n,
    s.u,
    s.units,
    s.n_units,
    s.k_units,
    s.first_n,
    s.first_k
FROM sums AS s
JOIN places AS a ON a.number = s.first_place
JOIN places AS b ON b.number = s.second_place
ORDER BY variant, first_place, second_place
