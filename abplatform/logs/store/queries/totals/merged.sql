-- The rows of totals_merged as unit_category_totals holds them, units of one slice side by side, so that
-- a part of the units is found by reading a part of the table.
SELECT * EXCLUDE (stale) FROM totals_merged ORDER BY unit_slice
