-- Versions of the suspects that are in conflict: event_key, key_hash, content_hash, superseded
-- (whether a re-emitted log has replaced it).
SELECT event_key, key_hash, content_hash, superseded_by IS NOT NULL AS superseded
FROM quarantine
WHERE event_key IS NOT NULL AND key_hash IN (SELECT key_hash FROM staged_suspects);
