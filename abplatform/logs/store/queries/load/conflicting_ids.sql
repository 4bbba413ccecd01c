-- How many ids of the touched segments came with different content: ids.
SELECT count(DISTINCT event_key) AS ids
FROM quarantine
WHERE event_key IS NOT NULL
  AND superseded_by IS NULL
  AND segment_number IN (SELECT segment_number FROM staged_touched);
