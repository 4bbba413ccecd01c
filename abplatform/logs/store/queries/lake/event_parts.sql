-- One row per UTC day of an event table: place (days since 1970), rows_there, and a mark that
-- changes with any of its rows. The mark is compared only with one that DuckDB has made.
SELECT
    t.ts_micros // 86400000000 AS place,
    count(*) AS rows_there,
    md5(concat_ws(
        '/', count(*), sum(hash(s.identity, t.line, t.event_id, t.withdrawn_by, t.superseded))
    )) AS mark
FROM {table} AS t
JOIN segments AS s ON s.segment_number = t.segment_number
GROUP BY 1
ORDER BY place
