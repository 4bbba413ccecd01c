-- The rows of unit_sums out of the stored totals, by category or for everything together: one row per
-- variant, unit and place, with the sums of a metric's numerator (k) and denominator (n). Every row
-- that counts is in them, up to now.
SELECT
    variant,
    unit_id AS unit,
    CASE $place
        WHEN 'category' THEN REGEXP_EXTRACT(COALESCE(category, 'unknown'), $category_pattern, 0)
        ELSE ''
    END AS place,
    CAST(SUM(
        CASE $numerator
            WHEN 'clicked' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'value' THEN net_value_micros
            WHEN 'cost' THEN cost_micros
            WHEN 'profit' THEN net_value_micros - cost_micros
            WHEN 'shown' THEN shown
            WHEN 'score' THEN score_micros
        END
    ) AS DECIMAL(19, 0)) AS k,
    CAST(SUM(
        CASE $denominator
            WHEN 'impressions' THEN impressions
            WHEN 'clicked' THEN clicked
            WHEN 'conversions' THEN conversions
            WHEN 'cost' THEN cost_micros
            WHEN 'decisions' THEN decisions
            WHEN 'feedbacks' THEN feedbacks
        END
    ) AS DECIMAL(19, 0)) AS n
FROM unit_category_totals
WHERE experiment = $experiment
    AND NOT mixed
    AND ($bots OR NOT bot)
    AND unit_slice >= $from_slice
    AND unit_slice < $until_slice
GROUP BY 1, 2, 3
