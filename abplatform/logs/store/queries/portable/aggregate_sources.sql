-- One row per experiment and source of its newest reports.
SELECT DISTINCT experiment, source
FROM aggregates_current
WHERE experiment IN (SELECT UNNEST($experiments))
ORDER BY experiment, source
