-- Decisions whose clicks may belong to another of their impressions than before: decision_id, of a
-- changed click click_micros, and taken_back (1 where an impression may have lost a click).
SELECT
    decision_id, ts_micros AS click_micros,
    CASE WHEN withdrawn_by IS NULL THEN 0 ELSE 1 END AS taken_back
FROM clicks
WHERE impression_id IS NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT c.decision_id, CAST(NULL AS BIGINT) AS click_micros, 1 AS taken_back
FROM clicks AS c
JOIN impressions AS i ON i.decision_id = c.decision_id
WHERE c.impression_id IS NULL
  AND c.segment_number <= $since
  AND (i.segment_number > $since OR i.withdrawn_by > $since);
