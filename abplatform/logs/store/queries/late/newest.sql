-- The latest moment that a source had told of before a segment's delivery, as was remembered or as the
-- store still knows: segment_number, source, newest_micros.
SELECT
    d.segment_number, d.source, greatest(max(t.ts_micros), max(d.newest_micros)) AS newest_micros
FROM staged_deliveries AS d
LEFT JOIN event_keys AS t
    ON t.source = d.source AND t.segment_number <= d.before_segment
   AND t.event_table IN ('impressions', 'decisions', 'clicks', 'conversions')
GROUP BY d.segment_number, d.source;
