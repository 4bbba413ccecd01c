-- Variants' days whose cost is to be spread anew: experiment, variant, day.
SELECT experiment, variant, day
FROM costs
WHERE impression_id IS NULL AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT c.experiment, c.variant, c.day
FROM costs AS c
JOIN impressions AS i
    ON i.experiment = c.experiment AND i.variant = c.variant AND i.day = c.day
WHERE c.impression_id IS NULL
  AND c.segment_number <= $since
  AND (i.segment_number > $since OR i.withdrawn_by > $since);
