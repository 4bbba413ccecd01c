-- One row per two creatives of one product that some unit of the table creative_sums saw both of: over
-- those units the sums of the products of impressions (nn), of clicks (kk), and of the one's clicks with
-- the other's impressions (kn: clicks of the first, nk: clicks of the second).
SELECT
    one.product_id AS product_id,
    one.creative_id AS first_creative,
    two.creative_id AS second_creative,
    SUM(one.n * two.n) AS nn,
    SUM(one.k * two.k) AS kk,
    SUM(one.k * two.n) AS kn,
    SUM(one.n * two.k) AS nk
FROM creative_sums AS one
INNER JOIN creative_sums AS two
    ON one.unit = two.unit
    AND one.product_id = two.product_id
    AND one.creative_id < two.creative_id
GROUP BY one.product_id, one.creative_id, two.creative_id
ORDER BY product_id, first_creative, second_creative
