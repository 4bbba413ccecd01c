-- One row per variant, unit, product and creative of one experiment: over the unit's impressions of it,
-- how many (n) and how many of them were clicked (k), and the least and the greatest of their strata. Of
-- the units, those in a range of slices.
SELECT
    variant,
    CASE WHEN $by_event THEN event_id ELSE unit_id END AS unit,
    product_id,
    creative_id,
    MIN(category) AS category,
    MIN(COALESCE(stratum, '')) AS least_stratum,
    MAX(COALESCE(stratum, '')) AS greatest_stratum,
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
    AND unit_slice >= $from_slice
    AND unit_slice < $until_slice
GROUP BY variant, product_id, creative_id, CASE WHEN $by_event THEN event_id ELSE unit_id END
