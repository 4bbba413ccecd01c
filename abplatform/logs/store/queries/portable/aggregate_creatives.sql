-- One row per experiment, variant, product and creative of the newest reports: impressions (n) and
-- clicks (k). Three lists of equal length name the experiments and the first and last day of each.
-- Sources named in a fourth list, as experiment/source, do not count.
SELECT
    a.experiment,
    a.variant,
    a.product_id,
    a.creative_id,
    MIN(a.category) AS category,
    SUM(a.impressions) AS n,
    SUM(a.clicks) AS k
FROM aggregates_current AS a
JOIN (
    SELECT
        UNNEST($experiments) AS experiment,
        UNNEST($from_days) AS from_day,
        UNNEST($until_days) AS until_day
) AS asked ON asked.experiment = a.experiment
WHERE a.day BETWEEN asked.from_day AND asked.until_day
    AND a.experiment || '/' || a.source NOT IN (SELECT UNNEST($excluded))
    AND a.product_id IS NOT NULL
    AND a.creative_id IS NOT NULL
GROUP BY a.experiment, a.variant, a.product_id, a.creative_id
HAVING SUM(a.impressions) > 0
ORDER BY a.experiment, a.product_id, a.creative_id, a.variant
