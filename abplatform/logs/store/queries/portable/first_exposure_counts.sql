-- One row per variant, workspace day, source, segment, channel, country and flags: how many units had
-- their first assigned exposure there between two moments. Bots and units later seen in two variants
-- are counted too: leaving them out could hide a fault. Of two exposures at one moment the one with
-- the lower event id comes first.
SELECT
    variant,
    day,
    source,
    segment,
    channel,
    country,
    bot,
    mixed,
    COUNT(*) AS units
FROM (
    SELECT
        e.variant,
        e.day,
        e.source,
        COALESCE(e.segment, 'unknown') AS segment,
        COALESCE(e.channel, 'unknown') AS channel,
        COALESCE(e.country, 'unknown') AS country,
        COALESCE(e.bot_at < $flagged_until, FALSE) AS bot,
        COALESCE(e.mixed_at < $flagged_until, FALSE) AS mixed,
        ROW_NUMBER() OVER (PARTITION BY e.unit_id ORDER BY e.event_id) AS place
    FROM exposures AS e
    INNER JOIN (
        SELECT
            unit_id,
            MIN(ts) AS ts
        FROM exposures
        WHERE experiment = $experiment
            AND reason = 'assigned'
            AND NOT outside_phase
            AND ts < $until
            AND source NOT IN (SELECT UNNEST($excluded_sources))
        GROUP BY unit_id
    ) AS firsts
        ON firsts.unit_id = e.unit_id
        AND firsts.ts = e.ts
    WHERE e.experiment = $experiment
        AND e.reason = 'assigned'
        AND NOT e.outside_phase
        AND e.source NOT IN (SELECT UNNEST($excluded_sources))
        AND e.ts >= $starts_at
        AND e.ts < $ends_at
) AS tied
WHERE place = 1
GROUP BY variant, day, source, segment, channel, country, bot, mixed
ORDER BY day, variant, source, segment, channel, country, bot, mixed
