-- Units that are flagged as bots, by user agent or by pace: unit_id.
SELECT unit_id
FROM (
    SELECT unit_id FROM impressions
    WHERE known_bot AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT unit_id FROM decisions
    WHERE known_bot AND segment_number <= $known_until
      AND ts_micros <= $until_micros
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT unit_id FROM busy_minutes WHERE shown > $most_a_minute
    UNION ALL
    SELECT unit_id FROM busy_minutes
    GROUP BY unit_id, minute_micros - minute_micros % 3600000000
    HAVING sum(shown) > $most_an_hour
    UNION ALL
    SELECT unit_id FROM busy_minutes
    GROUP BY unit_id, day
    HAVING sum(shown) > $most_a_day
) AS flagged
GROUP BY unit_id;
