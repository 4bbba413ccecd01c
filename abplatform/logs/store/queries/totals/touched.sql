-- One row about the table touched_units: whether it says that everything changed, the last segment
-- whose rows are in the totals (after_segment), the first day of a touched row (since_day), and whether
-- it has a row at all.
SELECT
    COALESCE(MAX(CASE WHEN unit_id IS NULL THEN 1 ELSE 0 END), 0) = 1 AS everything,
    MAX(after_segment) AS after_segment,
    MIN(since_day) AS since_day,
    COUNT(*) > 0 AS something
FROM touched_units
