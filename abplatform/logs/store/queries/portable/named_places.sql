-- Where the impressions stand that a changed event names, and the changed impressions that an event
-- names: segment_number, line, unit_id, ts_micros, and of clicks click_micros and taken_back. Only
-- hashes are compared: one place too many is computed anew and stays what it is.
SELECT i.segment_number, i.line, i.unit_id, i.ts_micros, n.click_micros, n.taken_back
FROM named AS n
JOIN impressions AS i ON i.key_hash = n.impression_hash AND i.ordinal = 0
UNION ALL
SELECT i.segment_number, i.line, i.unit_id, i.ts_micros, n.click_micros, 0 AS taken_back
FROM (
    SELECT impression_hash, ts_micros AS click_micros FROM clicks WHERE segment_number <= $since
    UNION ALL
    SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros
    FROM conversions WHERE segment_number <= $since
    UNION ALL
    SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros
    FROM costs WHERE segment_number <= $since
    UNION ALL
    SELECT impression_hash, CAST(NULL AS BIGINT) AS click_micros
    FROM feedback WHERE segment_number <= $since
) AS n
JOIN impressions AS i ON i.key_hash = n.impression_hash AND i.ordinal = 0
WHERE i.segment_number > $since OR i.withdrawn_by > $since
UNION ALL
SELECT i.segment_number, i.line, i.unit_id, i.ts_micros, d.click_micros, d.taken_back
FROM impressions AS i
JOIN touched_decisions AS d ON d.decision_id = i.decision_id
WHERE i.ordinal = 0;
