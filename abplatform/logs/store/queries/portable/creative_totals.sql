-- One row per variant, product and creative: units that saw it, and over those units the sums of
-- impressions (n) and clicks (k), their squares and product.
SELECT
    variant,
    product_id,
    creative_id,
    MIN(category) AS category,
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
        product_id,
        creative_id,
        MIN(category) AS category,
        CAST(SUM(impressions) AS DECIMAL(19, 0)) AS n,
        CAST(SUM(clicked) AS DECIMAL(19, 0)) AS k
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
        AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
        AND source NOT IN (SELECT UNNEST($excluded_sources))
        AND impressions > 0
        AND creative_id IS NOT NULL
        AND product_id IS NOT NULL
        AND ts < $until
        AND (NOT $final OR (final_at <= $known AND final_at <= source_watermark))
    GROUP BY variant, product_id, creative_id, CASE WHEN $by_event THEN event_id ELSE unit_id END
) AS units
GROUP BY variant, product_id, creative_id
ORDER BY product_id, creative_id, variant
