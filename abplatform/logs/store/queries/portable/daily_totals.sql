-- One row per variant, workspace day and category (null = all): units, impressions, clicks and
-- conversions of the exposures that count.
WITH counted AS (
    SELECT
        variant,
        day,
        category,
        unit_id,
        impressions,
        clicked,
        conversions
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
        AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
        AND source NOT IN (SELECT UNNEST($excluded_sources))
        AND ts < $until
)

SELECT
    variant,
    day,
    category,
    COUNT(DISTINCT unit_id) AS units,
    SUM(impressions) AS impressions,
    SUM(clicked) AS clicks,
    SUM(conversions) AS conversions
FROM counted
WHERE category IS NOT NULL
GROUP BY variant, day, category
UNION ALL
SELECT
    variant,
    day,
    NULL AS category,
    COUNT(DISTINCT unit_id) AS units,
    SUM(impressions) AS impressions,
    SUM(clicked) AS clicks,
    SUM(conversions) AS conversions
FROM counted
GROUP BY variant, day
ORDER BY day, variant, category
