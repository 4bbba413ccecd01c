-- Units with more impressions on a day than a person looks at in a minute, among the days that
-- something changed on: unit_id. Impressions of experiments on requests or products tell no pace.
SELECT i.unit_id
FROM impressions AS i
LEFT JOIN experiments AS e ON e.experiment = i.experiment
WHERE i.ordinal = 0
  AND coalesce(e.unit, 'user_id') = 'user_id'
  AND i.day IN (
      SELECT DISTINCT day FROM impressions
      WHERE segment_number > $since OR withdrawn_by > $since
  )
  AND i.segment_number <= $known_until
  AND i.ts_micros <= $until_micros
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
GROUP BY i.unit_id, i.day
HAVING count(*) > $most_a_minute;
