-- Names under which a changed conversion can be meant, its own id, its order and what it reverses:
-- name. Changed is what came in a segment after $since, or was withdrawn by one.
SELECT event_id AS name
FROM conversions
WHERE segment_number > $since OR withdrawn_by > $since
UNION
SELECT order_id AS name
FROM conversions
WHERE order_id IS NOT NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT reverses AS name
FROM conversions
WHERE reverses IS NOT NULL AND (segment_number > $since OR withdrawn_by > $since);
