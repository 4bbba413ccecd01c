-- Those of the given experiments that have unit rows: experiment.
SELECT experiment
FROM exposures
WHERE experiment IN (SELECT UNNEST($experiments))
GROUP BY experiment
