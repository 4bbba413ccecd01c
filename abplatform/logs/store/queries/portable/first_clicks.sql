-- One row per exposure that was clicked within its experiment's window: experiment, event_id,
-- first_click_micros. Further clicks on the same impression change nothing.
SELECT experiment, event_id, min(click_micros) AS first_click_micros
FROM (
    SELECT s.experiment, s.event_id, c.ts_micros AS click_micros
    FROM clicks AS c
    JOIN stood AS s ON s.key_hash = c.impression_hash AND s.event_id = c.impression_id
    WHERE s.impressions = 1
      AND c.ts_micros >= s.ts_micros - $early_micros
      AND c.ts_micros <= s.ts_micros + s.attribution_micros
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
    UNION ALL
    SELECT s.experiment, s.event_id, d.click_micros
    FROM decided_clicks AS d
    JOIN stood AS s ON s.event_id = d.impression_id
    WHERE s.impressions = 1
      AND d.click_micros >= s.ts_micros - $early_micros
      AND d.click_micros <= s.ts_micros + s.attribution_micros
) AS clicked
GROUP BY experiment, event_id;
