-- One row: whether there is a table of that name, temporary ones included.
SELECT COUNT(*) > 0 AS found FROM duckdb_tables() WHERE table_name = $name
