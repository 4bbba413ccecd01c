-- What waits or is left out of every scorecard: kind, events. Orphan clicks name an impression that
-- has not come; unplaced costs name a variant's day without impressions.
SELECT 'orphan_clicks' AS kind, count(*) AS events
FROM clicks AS c
LEFT JOIN click_targets AS t ON t.click_id = c.event_id
WHERE t.click_id IS NULL
  AND c.segment_number <= $known_until
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
UNION ALL
SELECT 'outside_phase', count(*) FROM stood WHERE outside_phase
UNION ALL
SELECT 'mixed_units', count(*) FROM mixed_units
UNION ALL
SELECT 'bot_units', count(*) FROM bot_units
UNION ALL
SELECT 'unplaced_cost_days', count(*)
FROM (
    SELECT c.experiment, c.variant, c.day
    FROM costs AS c
    LEFT JOIN stood AS s
        ON s.experiment = c.experiment AND s.variant = c.variant AND s.day = c.day
       AND s.impressions = 1
    WHERE c.impression_id IS NULL AND s.event_id IS NULL
      AND c.segment_number <= $known_until
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
    GROUP BY c.experiment, c.variant, c.day
) AS unplaced;
