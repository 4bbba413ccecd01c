-- When the newest event of each segment happened: segment_number, ts_micros.
SELECT segment_number, max(ts_micros) AS ts_micros
FROM event_keys
GROUP BY segment_number
ORDER BY segment_number;
