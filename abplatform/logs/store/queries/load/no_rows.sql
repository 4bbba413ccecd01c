-- No row of a table: its columns.
SELECT * FROM {table} WHERE false;
