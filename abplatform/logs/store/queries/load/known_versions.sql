-- What the store knows of the batch's suspects: event_key, content_hash, segment_number, line,
-- source, key_hash, stored (whether it is an accepted row that still counts).
SELECT
    e.event_key, e.content_hash, e.segment_number, e.line, e.source, e.key_hash,
    e.withdrawn_by IS NULL AS stored
FROM event_keys AS e
WHERE e.event_key IN (SELECT event_key FROM staged_suspects)
  AND e.key_hash IN (SELECT key_hash FROM staged_suspects)
UNION ALL
SELECT q.event_key, q.content_hash, q.segment_number, q.line, q.source, q.key_hash, false
FROM quarantine AS q
WHERE q.reason = 'conflicting_id' AND q.event_key IN (SELECT event_key FROM staged_suspects);
