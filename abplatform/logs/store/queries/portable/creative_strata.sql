-- One row per product, creative, variant, stratum, workspace day and whether the policy's floor drew it,
-- of one experiment: impressions (n) and how many of them were clicked (k).
SELECT
    product_id,
    creative_id,
    variant,
    COALESCE(stratum, '') AS stratum,
    day,
    COALESCE(explored, FALSE) AS explored,
    CAST(SUM(impressions) AS BIGINT) AS n,
    CAST(SUM(clicked) AS BIGINT) AS k
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
GROUP BY
    product_id, creative_id, variant, COALESCE(stratum, ''), day, COALESCE(explored, FALSE)
ORDER BY product_id, creative_id, variant, stratum, day, explored
