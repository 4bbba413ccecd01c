-- The latest moment that a source had told of before a segment's delivery: segment_number, source,
-- newest_micros.
SELECT d.segment_number, d.source, max(t.ts_micros) AS newest_micros
FROM staged_deliveries AS d
JOIN (
    SELECT source, segment_number, ts_micros FROM impressions
    UNION ALL
    SELECT source, segment_number, ts_micros FROM decisions
    UNION ALL
    SELECT source, segment_number, ts_micros FROM clicks
    UNION ALL
    SELECT source, segment_number, ts_micros FROM conversions
) AS t ON t.source = d.source AND t.segment_number <= d.before_segment
GROUP BY d.segment_number, d.source;
