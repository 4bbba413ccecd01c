-- One row per experiment, variant and category of the newest reports: impressions, clicks,
-- conversions, value and cost in micros, first and last day. Three lists of equal length name the
-- experiments and the first and last day of each.
-- Sources named in a fourth list, as experiment/source, do not count.
SELECT
    a.experiment,
    a.variant,
    a.category,
    SUM(a.impressions) AS impressions,
    SUM(a.clicks) AS clicks,
    SUM(a.conversions) AS conversions,
    SUM(a.value_micros) AS value_micros,
    SUM(a.cost_micros) AS cost_micros,
    MIN(a.day) AS first_day,
    MAX(a.day) AS last_day
FROM aggregates_current AS a
JOIN (
    SELECT
        UNNEST($experiments) AS experiment,
        UNNEST($from_days) AS from_day,
        UNNEST($until_days) AS until_day
) AS asked ON asked.experiment = a.experiment
WHERE a.day BETWEEN asked.from_day AND asked.until_day
    AND a.experiment || '/' || a.source NOT IN (SELECT UNNEST($excluded))
GROUP BY a.experiment, a.variant, a.category
ORDER BY a.experiment, a.variant, a.category
