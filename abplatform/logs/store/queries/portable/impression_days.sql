-- One row per unit and workspace day over every impression, whether it stands in an experiment or
-- in none: unit, day, impressions n, and how many of them were clicked within a window k. Units too
-- fast for a person, by the limits of attribution, are left out unless bots count.
WITH fast AS (
    SELECT unit_id
    FROM impressions
    WHERE known_bot AND ordinal = 0
    UNION
    SELECT unit_id
    FROM impressions
    WHERE ordinal = 0 AND withdrawn_by IS NULL
    GROUP BY unit_id, ts_micros - ts_micros % 60000000
    HAVING COUNT(*) > $most_a_minute
    UNION
    SELECT unit_id
    FROM impressions
    WHERE ordinal = 0 AND withdrawn_by IS NULL
    GROUP BY unit_id, ts_micros - ts_micros % 3600000000
    HAVING COUNT(*) > $most_an_hour
    UNION
    SELECT unit_id
    FROM impressions
    WHERE ordinal = 0 AND withdrawn_by IS NULL
    GROUP BY unit_id, day
    HAVING COUNT(*) > $most_a_day
),

hits AS (
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
    AND ($bots OR i.unit_id NOT IN (SELECT unit_id FROM fast))
    AND i.ts_micros < $until_micros
    AND REGEXP_MATCHES(COALESCE(i.category, ''), $category)
    AND REGEXP_MATCHES(COALESCE(i.country, ''), $country)
GROUP BY 1, 2
ORDER BY unit, i.day
