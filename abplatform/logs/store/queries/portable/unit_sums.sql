-- One row per variant, unit and place of one experiment: over the unit's rows there, the sums of a
-- metric's numerator (k) and denominator (n), exact integers. A place is a workspace day, a level of
-- the category path, segment, channel or country, inside or outside of given days, how many days ago
-- the unit was seen first (age; of units that were seen on a later day, too), the unit's variant in
-- another experiment (meeting; from its first exposure there on), or '' for everything together. Of
-- the units, those in a range of slices.
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
        AND unit_slice >= $from_slice
        AND unit_slice < $until_slice
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
        AND unit_slice >= $from_slice
        AND unit_slice < $until_slice
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
        AND unit_slice >= $from_slice
        AND unit_slice < $until_slice
)

SELECT
    variant,
    unit,
    place,
    CAST(SUM(top) AS DECIMAL(19, 0)) AS k,
    CAST(SUM(bottom) AS DECIMAL(19, 0)) AS n
FROM counted
GROUP BY variant, unit, place
