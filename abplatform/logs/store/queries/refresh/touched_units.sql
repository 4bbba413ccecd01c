-- One row per unit and experiment that a refresh touched: experiment, unit_id, appended, after_segment,
-- since_day, unit_slice.
SELECT
    experiment, unit_id, bool_and(appended) AS appended, min(after_segment) AS after_segment,
    min(since_day) AS since_day, min(unit_slice) AS unit_slice
FROM touched_rows
GROUP BY experiment, unit_id;
