-- One row per experiment, variant and category of the newest reports: impressions, clicks,
-- conversions, value and cost in micros, first and last day. Days outside two given days are
-- left out.
SELECT
    experiment,
    variant,
    category,
    SUM(impressions) AS impressions,
    SUM(clicks) AS clicks,
    SUM(conversions) AS conversions,
    SUM(value_micros) AS value_micros,
    SUM(cost_micros) AS cost_micros,
    MIN(day) AS first_day,
    MAX(day) AS last_day
FROM aggregates_current
WHERE day BETWEEN $from_day AND $until_day AND experiment IN (SELECT UNNEST($experiments))
GROUP BY experiment, variant, category
ORDER BY experiment, variant, category
