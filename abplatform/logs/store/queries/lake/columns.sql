-- One row per column of a table, in order: its name and type. Marks of events follow from outcomes.
SELECT column_name, data_type
FROM information_schema.columns
WHERE table_name = $name AND column_name <> 'marked' AND NOT starts_with(table_schema, 'temp')
ORDER BY ordinal_position
