-- One row per experiment and variant with unit rows: how many units it has, and over those the sums
-- of impressions, clicked impressions and conversions, of their squares and of the products that
-- ratios of them need. Flagged units and those seen in two variants are left out.
WITH units AS (
    SELECT
        experiment,
        variant,
        CAST(SUM(impressions) AS DECIMAL(19, 0)) AS impressions,
        CAST(SUM(clicked) AS DECIMAL(19, 0)) AS clicked,
        CAST(SUM(conversions) AS DECIMAL(19, 0)) AS conversions
    FROM exposures
    WHERE reason = 'assigned'
        AND NOT outside_phase
        AND mixed_at IS NULL
        AND bot_at IS NULL
    GROUP BY experiment, variant, unit_id
)

SELECT
    experiment,
    variant,
    COUNT(*) AS units,
    SUM(impressions) AS impressions,
    SUM(clicked) AS clicked,
    SUM(conversions) AS conversions,
    SUM(impressions * impressions) AS impressions_sq,
    SUM(clicked * clicked) AS clicked_sq,
    SUM(conversions * conversions) AS conversions_sq,
    SUM(clicked * impressions) AS clicked_x_impressions,
    SUM(conversions * clicked) AS conversions_x_clicked,
    SUM(conversions * impressions) AS conversions_x_impressions,
    SUM(CASE WHEN impressions <> 0 THEN 1 ELSE 0 END) AS impressions_units,
    SUM(CASE WHEN clicked <> 0 THEN 1 ELSE 0 END) AS clicked_units,
    SUM(CASE WHEN conversions <> 0 THEN 1 ELSE 0 END) AS conversions_units
FROM units
GROUP BY experiment, variant
ORDER BY experiment, variant
