-- Impressions or decisions among the candidates whose rows were final in every experiment before they
-- came: segment_number, line, source, ts_micros.
SELECT x.segment_number, x.line, x.source, x.ts_micros
FROM {table} AS x
JOIN staged_candidates AS c ON c.segment_number = x.segment_number AND c.line = x.line
JOIN staged_deliveries AS d ON d.segment_number = x.segment_number AND d.source = x.source
LEFT JOIN experiments AS e ON e.experiment = x.experiment
GROUP BY x.segment_number, x.line, x.source, x.ts_micros, d.watermark_micros
HAVING x.ts_micros + max(coalesce(e.attribution_micros + e.late_micros, $window_micros))
    < d.watermark_micros;
