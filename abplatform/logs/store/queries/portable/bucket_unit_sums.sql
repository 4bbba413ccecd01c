-- The rows of unit_sums out of the bucket sums, by category or for everything together, with each slice
-- of units in place of a unit: one row per variant, slice and place, with the sums of a metric's
-- numerator (k) and denominator (n). What is told of them is approximate.
SELECT
    variant,
    CAST(unit_slice AS VARCHAR) AS unit,
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
FROM bucket_sums
WHERE experiment = $experiment
    AND unit_slice >= $from_slice
    AND unit_slice < $until_slice
GROUP BY 1, 2, 3
