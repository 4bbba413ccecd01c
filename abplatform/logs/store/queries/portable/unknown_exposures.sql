-- Categories that nobody knows among the exposures of one experiment that count, the commonest
-- first: category, exposures.
SELECT category, COUNT(*) AS exposures
FROM exposures
WHERE experiment = $experiment
    AND reason = 'assigned'
    AND NOT outside_phase
    AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
    AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
    AND source NOT IN (SELECT UNNEST($excluded_sources))
    AND ts < $until
    AND REGEXP_MATCHES(category, '^unknown/')
GROUP BY category
ORDER BY exposures DESC, category
