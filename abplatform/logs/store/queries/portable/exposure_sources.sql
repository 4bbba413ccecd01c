-- One row per source that told of exposures of an experiment: source, exposures.
SELECT
    source,
    COUNT(*) AS exposures
FROM exposures
WHERE experiment = $experiment
GROUP BY source
ORDER BY source
