-- One row per experiment, variant, product and creative of the newest reports: impressions (n) and
-- clicks (k). Days outside two given days are left out.
SELECT
    experiment,
    variant,
    product_id,
    creative_id,
    MIN(category) AS category,
    SUM(impressions) AS n,
    SUM(clicks) AS k
FROM aggregates_current
WHERE day BETWEEN $from_day AND $until_day
    AND experiment IN (SELECT UNNEST($experiments))
    AND product_id IS NOT NULL
    AND creative_id IS NOT NULL
GROUP BY experiment, variant, product_id, creative_id
HAVING SUM(impressions) > 0
ORDER BY experiment, product_id, creative_id, variant
