-- One row per variant, first_place and place: over the units whose first place that is, the sums of
-- products of what they did before the experiment (x1, x2, of staged_histories; zero where a unit is
-- not in it) with the metric's numerator (k) and denominator (n) at the place. Where both places are
-- one, also the sums of x1 and x2, of their squares and product, and how many units have a history.
-- A place is a workspace day, or '' for everything together. Everything is an exact integer.
WITH counted AS (
    SELECT
        variant,
        CASE WHEN $by_event THEN event_id ELSE unit_id END AS unit,
        unit_id,
        CASE $place WHEN 'day' THEN CAST(day AS VARCHAR) ELSE '' END AS place,
        CASE $numerator
            WHEN 'clicked' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'value' THEN net_value_micros
            WHEN 'cost' THEN cost_micros
            WHEN 'profit' THEN net_value_micros - cost_micros
            WHEN 'shown' THEN shown
            WHEN 'score' THEN score_micros
            WHEN 'matched' THEN
                CASE WHEN creative_id IN (SELECT UNNEST($matched)) THEN impressions ELSE 0 END
        END AS top,
        CASE $denominator
            WHEN 'impressions' THEN impressions
            WHEN 'clicked' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'cost' THEN cost_micros
            WHEN 'decisions' THEN decisions
            WHEN 'feedbacks' THEN feedbacks
        END AS bottom
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
        AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
        AND source NOT IN (SELECT UNNEST($excluded_sources))
        AND ts < $until
        AND (NOT $final OR (final_at <= $known - $extra AND final_at <= source_watermark - $extra))
),

totals AS (
    SELECT
        variant,
        unit,
        place,
        MIN(unit_id) AS unit_id,
        CAST(SUM(top) AS DECIMAL(19, 0)) AS k,
        CAST(SUM(bottom) AS DECIMAL(19, 0)) AS n
    FROM counted
    GROUP BY variant, unit, place
),

firsts AS (
    SELECT variant, unit, MIN(place) AS first_place
    FROM totals
    GROUP BY variant, unit
),

known AS (
    SELECT
        t.variant,
        f.first_place,
        t.place,
        t.k,
        t.n,
        CASE WHEN h.unit_id IS NULL THEN 0 ELSE 1 END AS has_history,
        CAST(COALESCE(h.x1, 0) AS DECIMAL(19, 0)) AS x1,
        CAST(COALESCE(h.x2, 0) AS DECIMAL(19, 0)) AS x2
    FROM totals AS t
    JOIN firsts AS f ON f.variant = t.variant AND f.unit = t.unit
    LEFT JOIN staged_histories AS h ON h.unit_id = t.unit_id
)

SELECT
    variant,
    first_place,
    place,
    SUM(x1 * k) AS x1k,
    SUM(x1 * n) AS x1n,
    SUM(x2 * k) AS x2k,
    SUM(x2 * n) AS x2n,
    SUM(CASE WHEN place = first_place THEN x1 ELSE 0 END) AS x1,
    SUM(CASE WHEN place = first_place THEN x2 ELSE 0 END) AS x2,
    SUM(CASE WHEN place = first_place THEN x1 * x1 ELSE 0 END) AS x1x1,
    SUM(CASE WHEN place = first_place THEN x1 * x2 ELSE 0 END) AS x1x2,
    SUM(CASE WHEN place = first_place THEN x2 * x2 ELSE 0 END) AS x2x2,
    SUM(CASE WHEN place = first_place THEN has_history ELSE 0 END) AS units_with_history
FROM known
GROUP BY variant, first_place, place
ORDER BY variant, first_place, place
