-- One row per experiment and variant that has rows which an experiment's targeting admits: how many
-- units it has, and its first and last workspace day.
SELECT
    experiment,
    variant,
    COUNT(DISTINCT unit_id) AS units,
    MIN(day) AS first_day,
    MAX(day) AS last_day
FROM exposures
WHERE reason = 'assigned'
    AND NOT outside_phase
    AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
    AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
    AND ts < $until
    AND REGEXP_MATCHES(COALESCE(category, ''), $category)
    AND REGEXP_MATCHES(COALESCE(country, ''), $country)
GROUP BY experiment, variant
ORDER BY units DESC, experiment, variant
