-- One row per unit and workspace day over every impression, whether it stands in an experiment or
-- in none: unit, day, impressions n, and how many of them were clicked within a window k.
WITH hits AS (
    SELECT i.event_id
    FROM clicks AS c
    JOIN impressions AS i ON i.event_id = c.impression_id
    WHERE i.ordinal = 0
        AND c.withdrawn_by IS NULL
        AND c.ts_micros >= i.ts_micros
        AND c.ts_micros <= i.ts_micros + $attribution_micros
    UNION
    SELECT i.event_id
    FROM clicks AS c
    JOIN impressions AS i
        ON i.decision_id = c.decision_id
        AND COALESCE(i.position, -1) = COALESCE(c.position, -1)
    WHERE c.impression_id IS NULL
        AND i.ordinal = 0
        AND c.withdrawn_by IS NULL
        AND c.ts_micros >= i.ts_micros
        AND c.ts_micros <= i.ts_micros + $attribution_micros
)

SELECT
    CASE WHEN $by_event THEN i.event_id ELSE i.unit_id END AS unit,
    i.day,
    COUNT(*) AS n,
    COUNT(h.event_id) AS k
FROM impressions AS i
LEFT JOIN hits AS h ON h.event_id = i.event_id
WHERE i.ordinal = 0
    AND i.withdrawn_by IS NULL
    AND ($bots OR NOT COALESCE(i.known_bot, FALSE))
    AND i.ts_micros < $until_micros
    AND REGEXP_MATCHES(COALESCE(i.category, ''), $category)
    AND REGEXP_MATCHES(COALESCE(i.country, ''), $country)
GROUP BY 1, 2
ORDER BY unit, i.day
