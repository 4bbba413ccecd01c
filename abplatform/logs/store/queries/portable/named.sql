-- Impressions that a changed event names: impression_hash, and of clicks click_micros and taken_back
-- (1 where the click was withdrawn).
SELECT
    impression_hash, ts_micros AS click_micros,
    CASE WHEN withdrawn_by IS NULL THEN 0 ELSE 1 END AS taken_back
FROM clicks
WHERE impression_id IS NOT NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION ALL
SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros, 0 AS taken_back
FROM touched_conversions
WHERE impression_id IS NOT NULL
UNION ALL
SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros, 0 AS taken_back
FROM costs
WHERE impression_id IS NOT NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION ALL
SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros, 0 AS taken_back
FROM feedback
WHERE segment_number > $since OR withdrawn_by > $since;
