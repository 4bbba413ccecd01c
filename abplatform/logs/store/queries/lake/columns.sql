-- One row per column of a table, in order: its name and type.
SELECT column_name, data_type
FROM information_schema.columns
WHERE table_name = $name
ORDER BY ordinal_position
