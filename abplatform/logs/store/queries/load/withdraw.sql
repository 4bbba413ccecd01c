-- Takes the rows of conflicting ids out of what counts; nothing comes back.
UPDATE {table} SET withdrawn_by = $segment_number
WHERE withdrawn_by IS NULL
  AND (segment_number, line, key_hash) IN (
      SELECT (segment_number, line, key_hash) FROM staged_withdrawn
  );
