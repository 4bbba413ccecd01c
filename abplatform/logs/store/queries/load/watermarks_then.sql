-- Each source's watermark as its segments up to a number tell it: source, watermark_micros.
SELECT l.source, max(s.landed_micros) AS watermark_micros
FROM ledger AS l
JOIN segments AS s ON s.segment_number = l.segment_number
WHERE s.segment_number <= $known_until
GROUP BY l.source
ORDER BY l.source;
