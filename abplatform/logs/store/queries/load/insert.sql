-- Puts the staged rows of one event type into its table; nothing comes back.
INSERT INTO {table} BY NAME SELECT * FROM staged_{table};
