-- One row per thousand segments of a table that has no times: place (segment_number // 1000),
-- rows_there, and a mark that changes with any of its rows.
SELECT
    t.segment_number // 1000 AS place,
    count(*) AS rows_there,
    md5(concat_ws('/', count(*), sum(hash(s.identity, t.line, t.name, t.value_micros)))) AS mark
FROM {table} AS t
JOIN segments AS s ON s.segment_number = t.segment_number
GROUP BY 1
ORDER BY place
