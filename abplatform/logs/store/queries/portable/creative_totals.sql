-- One row per variant, product and creative of the table creative_sums: units that saw it, and over those
-- units the sums of impressions (n) and clicks (k), their squares and product; and the least and the
-- greatest of the strata.
SELECT
    variant,
    product_id,
    creative_id,
    MIN(category) AS category,
    MIN(least_stratum) AS least_stratum,
    MAX(greatest_stratum) AS greatest_stratum,
    COUNT(*) AS units,
    SUM(n) AS n,
    SUM(k) AS k,
    SUM(n * n) AS nn,
    SUM(k * k) AS kk,
    SUM(k * n) AS kn,
    SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) AS n_units,
    SUM(CASE WHEN k <> 0 THEN 1 ELSE 0 END) AS k_units
FROM creative_sums
GROUP BY variant, product_id, creative_id
ORDER BY product_id, creative_id, variant
