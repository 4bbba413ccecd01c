-- The first click after each impression of the units that may be bots: unit_id, event_id,
-- click_micros, quick (1 when no hand is that fast, else 0). A click at the very moment of its
-- impression tells nothing: many logs write both in one row. A click that names a decision is one on
-- the latest impression of that decision and position, as in decided_clicks.
SELECT
    a.unit_id, a.event_id, min(a.click_micros) AS click_micros,
    CASE WHEN min(a.click_micros) < a.ts_micros + $quick_micros THEN 1 ELSE 0 END AS quick
FROM (
    SELECT
        i.unit_id, i.experiment, i.event_id, i.ts_micros, c.ts_micros AS click_micros, 1 AS place
    FROM impressions AS i
    JOIN bot_candidates AS b ON b.unit_id = i.unit_id
    JOIN clicks AS c ON c.impression_hash = i.key_hash AND c.impression_id = i.event_id
    WHERE i.ordinal = 0
      AND i.segment_number <= $known_until
      AND i.ts_micros <= $until_micros
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
    UNION ALL
    SELECT
        i.unit_id, i.experiment, i.event_id, i.ts_micros, c.ts_micros AS click_micros,
        row_number() OVER (
            PARTITION BY c.event_id ORDER BY i.ts_micros DESC, i.event_id DESC
        ) AS place
    FROM clicks AS c
    JOIN (
        SELECT DISTINCT m.decision_id
        FROM impressions AS m
        JOIN bot_candidates AS b ON b.unit_id = m.unit_id
        WHERE m.ordinal = 0
    ) AS d ON d.decision_id = c.decision_id
    JOIN impressions AS i
        ON i.decision_id = c.decision_id
       AND coalesce(i.position, -1) = coalesce(c.position, -1)
       AND i.ordinal = 0
    WHERE c.impression_id IS NULL
      AND i.ts_micros <= c.ts_micros + $early_micros
      AND i.segment_number <= $known_until
      AND i.ts_micros <= $until_micros
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
) AS a
JOIN bot_candidates AS b ON b.unit_id = a.unit_id
LEFT JOIN experiments AS e ON e.experiment = a.experiment
WHERE a.place = 1
  AND a.click_micros > a.ts_micros
  AND coalesce(e.unit, 'user_id') = 'user_id'
GROUP BY a.unit_id, a.event_id, a.ts_micros;
