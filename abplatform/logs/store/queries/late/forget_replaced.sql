-- Takes events that segments up to a number replaced or contradicted off the list of those that wait:
-- they never counted (entered = -1). Nothing comes back.
UPDATE late_events SET entered = -1
FROM {table} AS t
WHERE late_events.event_table = '{table}'
  AND late_events.entered IS NULL
  AND t.segment_number = late_events.segment_number
  AND t.line = late_events.line
  AND t.withdrawn_by > 0
  AND t.withdrawn_by <= $until;
