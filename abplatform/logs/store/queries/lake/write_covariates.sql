-- Write the rows of a thousand segments of a table that has no times into a Parquet file.
COPY (
    SELECT * FROM {table}
    WHERE segment_number >= $place * 1000 AND segment_number < ($place + 1) * 1000
) TO $path (FORMAT parquet, COMPRESSION zstd)
