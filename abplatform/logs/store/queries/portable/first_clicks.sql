-- One row per exposure that was clicked within its experiment's window: experiment, event_id,
-- first_click_micros. Further clicks on the same impression change nothing.
SELECT s.experiment, s.event_id, min(t.click_micros) AS first_click_micros
FROM click_targets AS t
JOIN stood AS s ON s.event_id = t.impression_id AND s.impressions = 1
WHERE t.click_micros >= s.ts_micros - $early_micros
  AND t.click_micros <= s.ts_micros + s.attribution_micros
GROUP BY s.experiment, s.event_id;
