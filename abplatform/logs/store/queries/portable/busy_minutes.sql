-- Impressions by minute of the units that may be bots: unit_id, day, minute_micros, shown.
SELECT
    i.unit_id, i.day, i.ts_micros - i.ts_micros % 60000000 AS minute_micros, count(*) AS shown
FROM impressions AS i
JOIN bot_candidates AS b ON b.unit_id = i.unit_id
LEFT JOIN experiments AS e ON e.experiment = i.experiment
WHERE i.ordinal = 0
  AND coalesce(e.unit, 'user_id') = 'user_id'
  AND i.segment_number <= $known_until
  AND i.ts_micros <= $until_micros
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
GROUP BY i.unit_id, i.day, i.ts_micros - i.ts_micros % 60000000;
