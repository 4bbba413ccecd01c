-- Conversions among the candidates that came when what they count for was final, their windows and
-- those of refunds included: segment_number, line, source, ts_micros.
SELECT x.segment_number, x.line, x.source, x.ts_micros
FROM {table} AS x
JOIN staged_candidates AS c ON c.segment_number = x.segment_number AND c.line = x.line
JOIN staged_deliveries AS d ON d.segment_number = x.segment_number AND d.source = x.source
LEFT JOIN impressions AS i
    ON i.key_hash = x.impression_hash AND i.event_id = x.impression_id
   AND i.segment_number <= d.known_until
LEFT JOIN experiments AS e ON e.experiment = i.experiment
GROUP BY x.segment_number, x.line, x.source, x.ts_micros, d.watermark_micros
HAVING max(coalesce(i.ts_micros, x.ts_micros)
        + coalesce(
            e.attribution_micros + e.late_micros + e.conversion_micros + e.refund_micros,
            $window_micros
        )) < d.watermark_micros;
