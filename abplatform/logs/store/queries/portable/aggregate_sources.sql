-- One row per experiment and source of its newest reports. Those named in a second list, as
-- experiment/source, are left out.
SELECT DISTINCT experiment, source
FROM aggregates_current
WHERE experiment IN (SELECT UNNEST($experiments))
    AND experiment || '/' || source NOT IN (SELECT UNNEST($excluded))
ORDER BY experiment, source
