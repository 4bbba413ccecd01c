-- The first click after each impression of the units that may be bots: unit_id, event_id,
-- click_micros, quick (1 when no hand is that fast, else 0). A click at the very moment of its
-- impression tells nothing: many logs write both in one row.
SELECT
    i.unit_id, i.event_id, min(c.ts_micros) AS click_micros,
    CASE WHEN min(c.ts_micros) < i.ts_micros + $quick_micros THEN 1 ELSE 0 END AS quick
FROM impressions AS i
JOIN bot_candidates AS b ON b.unit_id = i.unit_id
JOIN clicks AS c ON c.impression_hash = i.key_hash AND c.impression_id = i.event_id
LEFT JOIN experiments AS e ON e.experiment = i.experiment
WHERE i.ordinal = 0
  AND coalesce(e.unit, 'user_id') = 'user_id'
  AND c.ts_micros > i.ts_micros
  AND i.segment_number <= $known_until
  AND i.ts_micros <= $until_micros
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
  AND c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
GROUP BY i.unit_id, i.event_id, i.ts_micros;
