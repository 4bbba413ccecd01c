-- One row per click that found its impression: click_id, click_micros, impression_id.
SELECT c.event_id AS click_id, c.ts_micros AS click_micros, i.event_id AS impression_id
FROM clicks AS c
JOIN impressions AS i
    ON i.key_hash = c.impression_hash AND i.event_id = c.impression_id AND i.ordinal = 0
WHERE c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
  AND i.segment_number <= $known_until
  AND i.ts_micros <= $until_micros
  AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
UNION ALL
SELECT click_id, click_micros, impression_id FROM decided_clicks;
