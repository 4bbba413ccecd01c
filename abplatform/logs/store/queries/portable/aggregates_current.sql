-- The newest reports, in the names of today: one row per report row that no higher revision outranks.
SELECT
    experiment, variant, category, product_id, creative_id, day,
    impressions, clicks, conversions, value_micros, cost_micros, source
FROM (
    SELECT
        a.source, a.experiment, a.variant, COALESCE(n.category, a.category) AS category,
        a.product_id, a.creative_id, a.day,
        a.impressions, a.clicks, a.conversions, a.value_micros, a.cost_micros,
        -- Two names of one category in one report both count; a later report replaces either.
        RANK() OVER (
            PARTITION BY
                a.source, a.experiment, a.variant, COALESCE(n.category, a.category),
                a.product_id, a.creative_id, a.day
            ORDER BY a.revision DESC
        ) AS place
    FROM aggregates AS a
    LEFT JOIN category_names AS n ON n.raw = a.category
    WHERE a.withdrawn_by IS NULL
) AS ranked
WHERE place = 1
