-- Units that are flagged as bots, by user agent, by pace or by quick clicks, and the event that
-- showed it: unit_id, bot_micros. By pace that is the first impression above a limit in its minute,
-- hour or day; by clicks the first that makes most of enough clicks quick ones.
SELECT unit_id, min(ts_micros) AS bot_micros
FROM (
    SELECT i.unit_id, i.ts_micros
    FROM impressions AS i
    JOIN bot_candidates AS b ON b.unit_id = i.unit_id
    WHERE i.known_bot AND i.segment_number <= $known_until
      AND i.ts_micros <= $until_micros
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    UNION ALL
    SELECT d.unit_id, d.ts_micros
    FROM decisions AS d
    JOIN bot_candidates AS b ON b.unit_id = d.unit_id
    WHERE d.known_bot AND d.segment_number <= $known_until
      AND d.ts_micros <= $until_micros
      AND (d.withdrawn_by IS NULL OR d.withdrawn_by > $known_until)
    UNION ALL
    SELECT unit_id, ts_micros
    FROM (
        SELECT
            i.unit_id, i.ts_micros,
            row_number() OVER (
                PARTITION BY i.unit_id, i.ts_micros - i.ts_micros % 60000000 ORDER BY i.ts_micros
            ) AS in_minute,
            row_number() OVER (
                PARTITION BY i.unit_id, i.ts_micros - i.ts_micros % 3600000000
                ORDER BY i.ts_micros
            ) AS in_hour,
            row_number() OVER (PARTITION BY i.unit_id, i.day ORDER BY i.ts_micros) AS in_day
        FROM impressions AS i
        JOIN hasty_units AS h ON h.unit_id = i.unit_id
        LEFT JOIN experiments AS e ON e.experiment = i.experiment
        WHERE i.ordinal = 0
          AND coalesce(e.unit, 'user_id') = 'user_id'
          AND i.segment_number <= $known_until
          AND i.ts_micros <= $until_micros
          AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    ) AS paced
    WHERE in_minute > $most_a_minute OR in_hour > $most_an_hour OR in_day > $most_a_day
    UNION ALL
    SELECT unit_id, click_micros AS ts_micros
    FROM (
        SELECT
            unit_id, click_micros,
            row_number() OVER (PARTITION BY unit_id ORDER BY click_micros, event_id) AS clicks,
            sum(quick) OVER (
                PARTITION BY unit_id ORDER BY click_micros, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS quick
        FROM quick_clicks
    ) AS clicked
    WHERE quick >= $fewest_quick AND 2 * quick > clicks
) AS flagged
GROUP BY unit_id
UNION ALL
SELECT k.unit_id, k.bot_micros
FROM kept_bots AS k
LEFT JOIN bot_candidates AS b ON b.unit_id = k.unit_id
WHERE b.unit_id IS NULL;
