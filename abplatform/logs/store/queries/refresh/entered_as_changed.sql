-- Makes events that backfills after a number let in look as if a segment to come ($next) withdrew them:
-- they count up to now, and a refresh finds them changed. Nothing comes back.
UPDATE {table} SET withdrawn_by = $next
WHERE withdrawn_by IS NULL
  AND (segment_number, line) IN (
      SELECT (segment_number, line) FROM late_events
      WHERE event_table = '{table}' AND entered > $after
  );
