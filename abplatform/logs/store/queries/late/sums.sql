-- What the exposures of each experiment add up to: experiment, impressions, clicked, conversions,
-- net_value_micros, cost_micros.
SELECT
    experiment,
    CAST(sum(impressions) AS BIGINT) AS impressions, CAST(sum(clicked) AS BIGINT) AS clicked,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(sum(net_value_micros) AS BIGINT) AS net_value_micros,
    CAST(sum(cost_micros) AS BIGINT) AS cost_micros
FROM exposures
GROUP BY experiment
ORDER BY experiment;
