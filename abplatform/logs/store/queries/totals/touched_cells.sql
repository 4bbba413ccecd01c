-- One row per experiment and slice of units with a touched row: experiment, unit_slice, since_day (the
-- first day of such a row).
SELECT
    experiment,
    unit_slice,
    MIN(since_day) AS since_day
FROM touched_units
GROUP BY experiment, unit_slice
