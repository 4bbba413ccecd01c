-- Why lines of the touched segments are quarantined: segment_number, source, reason, events, and one
-- example's detail, raw bytes and line.
SELECT
    segment_number, source, reason, count(*) AS events,
    arg_min(detail, line) AS detail, arg_min(raw, line) AS raw, min(line) AS line
FROM quarantine
WHERE superseded_by IS NULL
  AND segment_number IN (SELECT segment_number FROM staged_touched)
GROUP BY segment_number, source, reason
ORDER BY segment_number, source, reason;
