-- One row per unit and workspace day of some variants of one experiment, from a moment on: unit,
-- day, and over the unit's rows of that day the denominator n and the numerator k of a metric.
SELECT
    CASE WHEN $by_event THEN event_id ELSE unit_id END AS unit,
    day,
    CAST(SUM(
        CASE $denominator
            WHEN 'impressions' THEN impressions
            WHEN 'clicked_impressions' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'cost_micros' THEN cost_micros
            WHEN 'decisions' THEN decisions
            WHEN 'feedbacks' THEN feedbacks
        END
    ) AS BIGINT) AS n,
    CAST(SUM(
        CASE $numerator
            WHEN 'clicked_impressions' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'net_value_micros' THEN net_value_micros
            WHEN 'cost_micros' THEN cost_micros
            WHEN 'profit_micros' THEN net_value_micros - cost_micros
            WHEN 'shown' THEN shown
            WHEN 'score_micros' THEN score_micros
        END
    ) AS BIGINT) AS k
FROM exposures
WHERE experiment = $experiment
    AND variant IN (SELECT UNNEST($variants))
    AND reason = 'assigned'
    AND NOT outside_phase
    AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
    AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
    AND source NOT IN (SELECT UNNEST($excluded_sources))
    AND ts >= $since
    AND ts < $until
    AND REGEXP_MATCHES(COALESCE(category, ''), $category)
    AND REGEXP_MATCHES(COALESCE(country, ''), $country)
GROUP BY 1, 2
ORDER BY unit, day
