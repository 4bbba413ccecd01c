-- The latest moment that each source told of in segments after one: source, newest_micros.
SELECT source, max(ts_micros) AS newest_micros
FROM event_keys
WHERE segment_number > $after
  AND event_table IN ('impressions', 'decisions', 'clicks', 'conversions')
GROUP BY source
ORDER BY source;
