-- One row per unit of an experiment that was seen in a stretch of time before it: unit_id,
-- denominator (its impressions in it, of no or whatever other experiment) and numerator (those of
-- them that were clicked within the attribution window and before the stretch's end).
SELECT
    i.unit_id,
    SUM(CASE WHEN c.event_id IS NULL THEN 0 ELSE 1 END) AS numerator,
    COUNT(*) AS denominator
FROM impressions AS i
LEFT JOIN (
    SELECT DISTINCT s.event_id
    FROM click_targets AS t
    JOIN impressions AS s ON s.event_id = t.impression_id AND s.ordinal = 0
    WHERE t.click_micros >= s.ts_micros - $early_micros
      AND t.click_micros <= s.ts_micros + $attribution_micros
) AS c ON c.event_id = i.event_id
WHERE i.ordinal = 0
  AND i.ts_micros >= $from_micros
  AND i.ts_micros <= $until_micros
  AND i.segment_number <= $known_until
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
  AND i.unit_id IN (SELECT unit_id FROM exposures WHERE experiment = $experiment)
  AND i.event_id NOT IN (SELECT event_id FROM impressions WHERE experiment = $experiment)
GROUP BY i.unit_id
