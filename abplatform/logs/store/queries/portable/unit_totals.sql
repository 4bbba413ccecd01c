-- One row per variant and place of the table unit_sums: how many units it has, and over those the sums
-- of their totals (n, k), of squares and of the product, and how many have a total that is not zero.
-- Everything is an exact integer.
SELECT
    variant,
    place,
    COUNT(*) AS units,
    SUM(n) AS n,
    SUM(k) AS k,
    SUM(n * n) AS nn,
    SUM(k * k) AS kk,
    SUM(k * n) AS kn,
    SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) AS n_units,
    SUM(CASE WHEN k <> 0 THEN 1 ELSE 0 END) AS k_units
FROM unit_sums
GROUP BY variant, place
ORDER BY place, variant
