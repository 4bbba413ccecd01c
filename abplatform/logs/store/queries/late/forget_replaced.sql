-- Takes events that were replaced or contradicted meanwhile off the list of those that wait; nothing
-- comes back.
DELETE FROM late_events
USING {table} AS t
WHERE late_events.event_table = '{table}'
  AND late_events.entered IS NULL
  AND t.segment_number = late_events.segment_number
  AND t.line = late_events.line
  AND t.withdrawn_by > 0;
