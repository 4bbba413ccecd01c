-- The rows of one table and of the chunk whose key hashes are among the suspects: event_id (and
-- event_key, ordinal, where the table has them), key_hash, segment_number, line, source, ts_micros,
-- withdrawn_by, superseded, stored, and a hash of all columns but the $silent ones. Columns that the
-- chunk lacks are null, as they will be in the table.
WITH suspects AS (
    SELECT *, true AS stored
    FROM {table}
    WHERE segment_number BETWEEN $first AND $last
      AND key_hash IN (SELECT key_hash FROM staged_suspects)
    UNION ALL BY NAME
    SELECT *, false AS stored
    FROM staged_rows
)
SELECT
    COLUMNS(lambda c: c IN ('event_id', 'event_key', 'ordinal')),
    key_hash, segment_number, line, source, ts_micros, withdrawn_by, superseded, stored,
    hash(*COLUMNS(lambda c: c NOT IN $silent)) AS content_hash
FROM suspects
ORDER BY segment_number, line;
