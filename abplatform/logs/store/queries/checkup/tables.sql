-- A row for each table in the file: name.
SELECT table_name AS name FROM duckdb_tables() WHERE NOT temporary AND NOT internal ORDER BY table_name
