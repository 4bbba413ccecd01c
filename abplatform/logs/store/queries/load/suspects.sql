-- Key hashes of the chunk that are known already, and where: key_hash, event_table, segment_number
-- (null for what only the quarantine of conflicting ids knows). Mostly none.
SELECT key_hash, event_table, segment_number
FROM event_keys
WHERE key_hash IN (SELECT key_hash FROM staged_keys)
UNION ALL
SELECT key_hash, NULL, NULL
FROM quarantine
WHERE event_key IS NOT NULL AND key_hash IN (SELECT key_hash FROM staged_keys);
