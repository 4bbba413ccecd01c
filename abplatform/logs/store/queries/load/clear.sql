-- Empties a table that is written anew; nothing comes back.
DELETE FROM {table};
