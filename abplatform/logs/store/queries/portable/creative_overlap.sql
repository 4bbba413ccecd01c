-- One row per two creatives of one product that some unit saw both of: over those units the sums of
-- the products of impressions (nn), of clicks (kk), and of the one's clicks with the other's
-- impressions (kn: clicks of the first, nk: clicks of the second).
WITH units AS (
    SELECT
        unit_id,
        product_id,
        creative_id,
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
    GROUP BY unit_id, product_id, creative_id
)

SELECT
    one.product_id AS product_id,
    one.creative_id AS first_creative,
    two.creative_id AS second_creative,
    SUM(one.n * two.n) AS nn,
    SUM(one.k * two.k) AS kk,
    SUM(one.k * two.n) AS kn,
    SUM(one.n * two.k) AS nk
FROM units AS one
INNER JOIN units AS two
    ON one.unit_id = two.unit_id
    AND one.product_id = two.product_id
    AND one.creative_id < two.creative_id
GROUP BY one.product_id, one.creative_id, two.creative_id
ORDER BY product_id, first_creative, second_creative
