-- One row per variant: how many units had their first assigned exposure there between two moments.
-- Bots and units later seen in two variants are counted too: leaving them out could hide a fault.
-- Of two exposures at one moment the one with the lower event id comes first.
SELECT
    variant,
    COUNT(*) AS units
FROM (
    SELECT
        unit_id,
        MIN(ts) AS first_at,
        MIN_BY(variant, STRUCT_PACK(ts := ts, id := event_id)) AS variant
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND ts < $until
    GROUP BY unit_id
) AS firsts
WHERE first_at >= $starts_at AND first_at < $ends_at
GROUP BY variant
ORDER BY variant
