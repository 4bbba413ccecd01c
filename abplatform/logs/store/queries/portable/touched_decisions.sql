-- Decisions whose clicks may belong to another of their impressions than before: decision_id.
SELECT decision_id
FROM clicks
WHERE impression_id IS NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT c.decision_id
FROM clicks AS c
JOIN impressions AS i ON i.decision_id = c.decision_id
WHERE c.impression_id IS NULL
  AND c.segment_number <= $since
  AND (i.segment_number > $since OR i.withdrawn_by > $since);
