-- Every category that the log has named so far: raw.
SELECT raw FROM categories_seen ORDER BY raw;
