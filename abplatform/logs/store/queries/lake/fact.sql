-- Every row of a small table, in an order of its own.
SELECT * FROM {table} ORDER BY ALL
