-- One row per variant, day and category (null = all) of one experiment's newest reports. Reports
-- have no unit rows, so units is null.
SELECT
    variant,
    day,
    category,
    CAST(NULL AS BIGINT) AS units,
    SUM(impressions) AS impressions,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions
FROM aggregates_current
WHERE day <= $until_day AND experiment = $experiment AND category IS NOT NULL
GROUP BY variant, day, category
UNION ALL
SELECT
    variant,
    day,
    NULL AS category,
    CAST(NULL AS BIGINT) AS units,
    SUM(impressions) AS impressions,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions
FROM aggregates_current
WHERE day <= $until_day AND experiment = $experiment
GROUP BY variant, day
ORDER BY day, variant, category
