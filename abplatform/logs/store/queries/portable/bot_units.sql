-- Units that are flagged as bots, by user agent or by pace, and the event that showed it: unit_id,
-- bot_micros. By pace that is the first impression above a limit in its minute, hour or day.
SELECT unit_id, min(ts_micros) AS bot_micros
FROM (
    SELECT unit_id, ts_micros FROM impressions
    WHERE known_bot AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT unit_id, ts_micros FROM decisions
    WHERE known_bot AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
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
        WHERE i.ordinal = 0
          AND i.segment_number <= $known_until
          AND i.ts_micros <= $until_micros
          AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    ) AS paced
    WHERE in_minute > $most_a_minute OR in_hour > $most_an_hour OR in_day > $most_a_day
) AS flagged
GROUP BY unit_id;
