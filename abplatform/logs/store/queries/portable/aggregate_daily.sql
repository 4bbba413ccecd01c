-- One row per experiment, variant, day and category (null = all) of the newest reports. Reports have
-- no unit rows, so units is null.
SELECT
    experiment,
    variant,
    day,
    category,
    CAST(NULL AS BIGINT) AS units,
    SUM(impressions) AS impressions,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions
FROM aggregates_current
WHERE experiment IN (SELECT UNNEST($experiments)) AND category IS NOT NULL
GROUP BY experiment, variant, day, category
UNION ALL
SELECT
    experiment,
    variant,
    day,
    NULL AS category,
    CAST(NULL AS BIGINT) AS units,
    SUM(impressions) AS impressions,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions
FROM aggregates_current
WHERE experiment IN (SELECT UNNEST($experiments))
GROUP BY experiment, variant, day
ORDER BY experiment, day, variant, category
