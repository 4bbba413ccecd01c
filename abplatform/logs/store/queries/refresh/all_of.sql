-- All rows of a table that a step left.
SELECT * FROM {table};
