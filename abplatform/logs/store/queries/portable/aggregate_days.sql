-- One row per experiment, variant, creative and day of the newest reports, of those creatives that
-- were reported on two days or more in their variant: impressions, clicks, conversions. Three lists of
-- equal length name the experiments and the first and last day of each.
-- Sources named in a fourth list, as experiment/source, do not count.
WITH days AS (
    SELECT
        a.experiment,
        a.variant,
        COALESCE(a.creative_id, '') AS creative_id,
        a.day,
        SUM(a.impressions) AS impressions,
        SUM(a.clicks) AS clicks,
        SUM(a.conversions) AS conversions
    FROM aggregates_current AS a
    JOIN (
        SELECT
            UNNEST($experiments) AS experiment,
            UNNEST($from_days) AS from_day,
            UNNEST($until_days) AS until_day
    ) AS asked ON asked.experiment = a.experiment
    WHERE a.day BETWEEN asked.from_day AND asked.until_day
        AND a.experiment || '/' || a.source NOT IN (SELECT UNNEST($excluded))
    GROUP BY a.experiment, a.variant, COALESCE(a.creative_id, ''), a.day
)

SELECT experiment, variant, creative_id, day, impressions, clicks, conversions
FROM (
    SELECT *, COUNT(*) OVER (PARTITION BY experiment, variant, creative_id) AS reported
    FROM days
) AS counted
WHERE reported > 1
ORDER BY experiment, variant, creative_id, day
