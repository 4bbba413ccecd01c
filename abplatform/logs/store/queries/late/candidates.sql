-- Events of new segments that may have come when their rows were final: segment_number, line, source,
-- ts_micros. Those of a time before the source's first watermark are history, and never late.
-- What a later ingest withdrew was late or not all the same: answers of the time between rest on it.
SELECT DISTINCT x.segment_number, x.line, x.source, x.ts_micros
FROM {table} AS x
JOIN staged_deliveries AS d ON d.segment_number = x.segment_number AND d.source = x.source
WHERE (x.withdrawn_by IS NULL OR x.withdrawn_by > d.known_until)
  AND x.ts_micros >= d.birth_micros
  AND x.ts_micros + $least_micros < d.watermark_micros;
