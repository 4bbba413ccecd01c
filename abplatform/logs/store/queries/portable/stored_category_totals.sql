-- What unit_totals says by category, straight from the stored totals, where a unit has one row a
-- category: one row per variant and category, with its place (a level of the category's path), how many
-- units it has, and over those the sums of a metric's numerator (k) and denominator (n), of squares and
-- of the product, and how many have a total that is not zero. Where several categories share a place
-- (categories), a unit may be in several of them and is counted too often.
SELECT
    variant,
    place,
    units,
    n,
    k,
    nn,
    kk,
    kn,
    n_units,
    k_units,
    COUNT(*) OVER (PARTITION BY variant, place) AS categories
FROM (
    SELECT
        variant,
        REGEXP_EXTRACT(COALESCE(category, 'unknown'), $category_pattern, 0) AS place,
        COUNT(*) AS units,
        SUM(n) AS n,
        SUM(k) AS k,
        SUM(n * n) AS nn,
        SUM(k * k) AS kk,
        SUM(k * n) AS kn,
        SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) AS n_units,
        SUM(CASE WHEN k <> 0 THEN 1 ELSE 0 END) AS k_units
    FROM (
        SELECT
            variant,
            category,
            CAST(
                CASE $numerator
                    WHEN 'clicked' THEN clicked
                    WHEN 'conversions' THEN conversions
                    WHEN 'value' THEN net_value_micros
                    WHEN 'cost' THEN cost_micros
                    WHEN 'profit' THEN net_value_micros - cost_micros
                    WHEN 'shown' THEN shown
                    WHEN 'score' THEN score_micros
                END AS DECIMAL(19, 0)
            ) AS k,
            CAST(
                CASE $denominator
                    WHEN 'impressions' THEN impressions
                    WHEN 'clicked' THEN clicked
                    WHEN 'conversions' THEN conversions
                    WHEN 'cost' THEN cost_micros
                    WHEN 'decisions' THEN decisions
                    WHEN 'feedbacks' THEN feedbacks
                END AS DECIMAL(19, 0)
            ) AS n
        FROM unit_category_totals
        WHERE experiment = $experiment
            AND NOT mixed
            AND ($bots OR NOT bot)
    ) AS counted
    GROUP BY variant, category
) AS categories
ORDER BY place, variant
