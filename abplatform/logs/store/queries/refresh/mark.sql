-- Marks events that have a row in exposure_outcomes from now on; nothing comes back.
UPDATE {table} SET marked = TRUE
FROM come AS c
WHERE {table}.segment_number = c.segment_number
  AND {table}.line = c.line
  AND {table}.ordinal = c.ordinal
  AND {table}.marked IS NULL;
