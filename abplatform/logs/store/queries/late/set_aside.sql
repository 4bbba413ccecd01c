-- Takes late events out of what counts until a backfill lets them in; nothing comes back.
UPDATE {table} SET withdrawn_by = 0
WHERE withdrawn_by IS NULL
  AND (segment_number, line) IN (SELECT (segment_number, line) FROM staged_late);
