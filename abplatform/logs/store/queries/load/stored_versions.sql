-- The rows of one table whose key hashes are among the suspects: every column of it.
SELECT *
FROM {table}
WHERE segment_number BETWEEN $first AND $last
  AND key_hash IN (SELECT key_hash FROM staged_suspects)
ORDER BY segment_number, line;
