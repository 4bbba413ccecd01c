-- Lets the late events of a backfill count; nothing comes back.
UPDATE {table} SET withdrawn_by = NULL
WHERE withdrawn_by = 0
  AND (segment_number, line) IN (
      SELECT (segment_number, line) FROM late_events WHERE entered = $number
  );
