-- Late events that wait for a backfill, or that one let in: event_table, source, events.
SELECT event_table, source, count(*) AS events
FROM late_events
WHERE coalesce(entered, 0) = $entered
  AND ($source = '' OR source = $source)
  AND ts_micros >= $from_micros
  AND ts_micros < $to_micros
GROUP BY event_table, source
ORDER BY event_table, source;
