-- One row per variant and two places, of which the first is not the later one: over the units the sums
-- of products of their totals at both, of the metric's numerator (k), denominator (n), and of u, which
-- is one at the first place at which a unit appears. Where both places are one, also the sums
-- themselves, how many units have a row there (units), a total that is not zero (n_units, k_units), and
-- how many have their first such place here (u, first_n, first_k). A place is a workspace day, a level
-- of the category path, segment, channel or country, inside or outside of given days, how many days
-- ago the unit was seen first (age; of units that were seen on a later day, too), or the unit's variant
-- in another experiment (meeting; from its first exposure there on). Everything is an exact integer.
WITH ages AS (
    SELECT
        unit_id,
        MIN(day) AS first_day,
        MAX(day) AS last_day
    FROM exposures
    WHERE $place = 'age'
        AND experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND source NOT IN (SELECT UNNEST($excluded_sources))
        AND ts < $until
    GROUP BY unit_id
),

meetings AS (
    SELECT
        unit_id,
        MIN(variant) AS other_variant,
        MIN(ts) AS met_at
    FROM exposures
    WHERE $place = 'meeting'
        AND experiment = $other
        AND reason = 'assigned'
        AND NOT outside_phase
        AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
        AND ts < $until
    GROUP BY unit_id
),

counted AS (
    SELECT
        variant,
        CASE WHEN $by_event THEN event_id ELSE unit_id END AS unit,
        CASE $place
            WHEN 'day' THEN CAST(day AS VARCHAR)
            WHEN 'category' THEN REGEXP_EXTRACT(COALESCE(category, 'unknown'), $category_pattern, 0)
            WHEN 'segment' THEN COALESCE(segment, 'unknown')
            WHEN 'channel' THEN COALESCE(channel, 'unknown')
            WHEN 'country' THEN COALESCE(country, 'unknown')
            WHEN 'calendar' THEN
                CASE WHEN day IN (SELECT UNNEST($days)) THEN 'inside' ELSE 'outside' END
            WHEN 'meeting' THEN other_variant
            WHEN 'age' THEN
                CASE
                    WHEN day = first_day THEN '0'
                    WHEN DATE_DIFF('day', first_day, day) <= 2 THEN '1-2'
                    WHEN DATE_DIFF('day', first_day, day) <= 6 THEN '3-6'
                    ELSE '7+'
                END
            ELSE ''
        END AS place,
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
    LEFT JOIN ages USING (unit_id)
    LEFT JOIN meetings USING (unit_id)
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND ($place <> 'age' OR first_day < last_day)
        AND ($place <> 'meeting' OR ts >= met_at)
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
        CAST(SUM(top) AS DECIMAL(19, 0)) AS k,
        CAST(SUM(bottom) AS DECIMAL(19, 0)) AS n
    FROM counted
    GROUP BY variant, unit, place
),

firsts AS (
    SELECT
        variant,
        unit,
        MIN(place) AS place,
        MIN(CASE WHEN n <> 0 THEN place END) AS n_place,
        MIN(CASE WHEN k <> 0 THEN place END) AS k_place
    FROM totals
    GROUP BY variant, unit
),

placed AS (
    SELECT
        t.variant,
        t.unit,
        t.place,
        t.k,
        t.n,
        CASE WHEN t.place = f.place THEN 1 ELSE 0 END AS u,
        CASE WHEN t.place = f.n_place THEN 1 ELSE 0 END AS first_n,
        CASE WHEN t.place = f.k_place THEN 1 ELSE 0 END AS first_k
    FROM totals AS t
    JOIN firsts AS f ON f.variant = t.variant AND f.unit = t.unit
)

SELECT
    a.variant,
    a.place AS first_place,
    b.place AS second_place,
    SUM(a.k * b.k) AS kk,
    SUM(a.k * b.n) AS kn,
    SUM(a.k * b.u) AS ku,
    SUM(a.n * b.k) AS nk,
    SUM(a.n * b.n) AS nn,
    SUM(a.n * b.u) AS nu,
    SUM(a.u * b.k) AS uk,
    SUM(a.u * b.n) AS un,
    SUM(a.u * b.u) AS uu,
    SUM(CASE WHEN a.place = b.place THEN a.k ELSE 0 END) AS k,
    SUM(CASE WHEN a.place = b.place THEN a.n ELSE 0 END) AS n,
    SUM(CASE WHEN a.place = b.place THEN a.u ELSE 0 END) AS u,
    SUM(CASE WHEN a.place = b.place THEN 1 ELSE 0 END) AS units,
    SUM(CASE WHEN a.place = b.place AND a.n <> 0 THEN 1 ELSE 0 END) AS n_units,
    SUM(CASE WHEN a.place = b.place AND a.k <> 0 THEN 1 ELSE 0 END) AS k_units,
    SUM(CASE WHEN a.place = b.place THEN a.first_n ELSE 0 END) AS first_n,
    SUM(CASE WHEN a.place = b.place THEN a.first_k ELSE 0 END) AS first_k
FROM placed AS a
JOIN placed AS b ON b.variant = a.variant AND b.unit = a.unit AND a.place <= b.place
GROUP BY a.variant, a.place, b.place
ORDER BY a.variant, a.place, b.place
