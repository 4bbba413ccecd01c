-- Takes the rows of conflicting ids out of what counts; nothing comes back.
UPDATE {table}
SET withdrawn_by = s.withdrawn_by, superseded = NULL
FROM staged_withdrawn AS s
WHERE s.segment_number = {table}.segment_number
  AND s.line = {table}.line
  AND s.key_hash = {table}.key_hash
  AND coalesce({table}.withdrawn_by, 0) = 0;
