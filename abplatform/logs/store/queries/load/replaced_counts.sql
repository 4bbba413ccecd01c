-- What stood in the hours that a segment replaced, and what stands there since: event_table, before,
-- after.
SELECT
    event_table,
    count(*) FILTER (withdrawn_by = $segment_number AND superseded) AS before,
    count(*) FILTER (coalesce(withdrawn_by, 0) = 0 AND superseded IS NOT TRUE) AS after
FROM event_keys
WHERE source = $source AND ts_micros >= $from_micros AND ts_micros < $to_micros
GROUP BY event_table
ORDER BY event_table;
