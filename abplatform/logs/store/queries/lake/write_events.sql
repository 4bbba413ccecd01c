-- Write one UTC day of an event table into a Parquet file. Hashes become signed numbers of 64 bits, in
-- the same order: neither Spark nor SQLite knows unsigned ones.
COPY (
    SELECT
        COLUMNS(lambda c: NOT suffix(c, '_hash') AND c <> 'marked'),
        CAST(CAST(COLUMNS('.*_hash$') AS HUGEINT) - 9223372036854775808 AS BIGINT) AS "\0"
    FROM {table}
    WHERE ts_micros >= $place * 86400000000 AND ts_micros < ($place + 1) * 86400000000
) TO $path (FORMAT parquet, COMPRESSION zstd)
