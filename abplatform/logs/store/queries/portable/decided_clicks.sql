-- One row per click that names a decision and found its impression, the latest of that decision and
-- position before it: click_id, click_micros, impression_id.
SELECT click_id, click_micros, impression_id
FROM (
    SELECT
        c.event_id AS click_id, c.ts_micros AS click_micros, i.event_id AS impression_id,
        row_number() OVER (
            PARTITION BY c.event_id ORDER BY i.ts_micros DESC, i.event_id DESC
        ) AS place
    FROM clicks AS c
    JOIN clicked_decisions AS d ON d.decision_id = c.decision_id
    JOIN impressions AS i
        ON i.decision_id = c.decision_id
       AND coalesce(i.position, -1) = coalesce(c.position, -1)
       AND i.ordinal = 0
    WHERE c.impression_id IS NULL
      AND i.ts_micros <= c.ts_micros + $early_micros
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
      AND i.segment_number <= $known_until
      AND i.ts_micros <= $until_micros
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
) AS by_decision
WHERE place = 1;
