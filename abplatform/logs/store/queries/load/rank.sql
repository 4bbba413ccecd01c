-- Marks rows of reports that a higher revision outranks, or does no longer; nothing comes back.
UPDATE aggregates
SET superseded = s.superseded
FROM staged_ranked AS s
WHERE s.segment_number = aggregates.segment_number
  AND s.line = aggregates.line
  AND s.key_hash = aggregates.key_hash;
