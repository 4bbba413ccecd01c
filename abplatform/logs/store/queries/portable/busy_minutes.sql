-- Impressions by minute of the units that may be too busy for a person: unit_id, day,
-- minute_micros, shown. Units that are no people (unit: request_id, product_id) are left out.
SELECT
    i.unit_id, i.day, i.ts_micros - i.ts_micros % 60000000 AS minute_micros, count(*) AS shown
FROM impressions AS i
JOIN (
    SELECT k.unit_id
    FROM impressions AS k
    LEFT JOIN experiments AS e ON e.experiment = k.experiment
    WHERE k.ordinal = 0 AND coalesce(e.unit, 'user_id') = 'user_id'
      AND k.segment_number <= $known_until
      AND k.ts_micros <= $until_micros
      AND (k.withdrawn_by IS NULL OR k.withdrawn_by > $known_until)
    GROUP BY k.unit_id
    HAVING count(*) > $most_a_minute
) AS busy ON busy.unit_id = i.unit_id
WHERE i.ordinal = 0
  AND i.segment_number <= $known_until
  AND i.ts_micros <= $until_micros
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
GROUP BY i.unit_id, i.day, i.ts_micros - i.ts_micros % 60000000;
