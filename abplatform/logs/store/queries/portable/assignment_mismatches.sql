-- One row: how many units had their first assigned exposure between two moments, and how many of
-- those in a variant that does not own their bucket. Three lists of equal length hold the ranges.
SELECT
    COUNT(*) AS units,
    SUM(CASE WHEN owned.variant IS NULL THEN 1 ELSE 0 END) AS mismatches
FROM (
    SELECT
        unit_id,
        MIN(ts) AS first_at,
        MIN_BY(variant, STRUCT_PACK(ts := ts, id := event_id)) AS variant,
        unit_bucket(unit_id, $salt) AS bucket
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND ts < $until
        AND source NOT IN (SELECT UNNEST($excluded_sources))
    GROUP BY unit_id
) AS firsts
LEFT JOIN (
    SELECT
        UNNEST($variants) AS variant,
        UNNEST($lows) AS low,
        UNNEST($highs) AS high
) AS owned
    ON owned.variant = firsts.variant
    AND firsts.bucket >= owned.low
    AND firsts.bucket < owned.high
WHERE first_at >= $starts_at AND first_at < $ends_at
