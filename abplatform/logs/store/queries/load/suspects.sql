-- Rows of the batch whose key hash is known already or comes twice: row. Mostly none.
SELECT k.row
FROM staged_keys AS k
WHERE k.key_hash IN (SELECT key_hash FROM event_keys)
   OR k.key_hash IN (SELECT key_hash FROM quarantine WHERE reason = 'conflicting_id')
   OR k.key_hash IN (SELECT key_hash FROM staged_keys GROUP BY key_hash HAVING count(*) > 1)
ORDER BY k.row;
