-- One row per impression of one variant that counts: what was shown, with which probability, whether
-- it was clicked, and the context. With a category, of that category and those below it.
SELECT
    CASE WHEN $by_event THEN e.event_id ELSE e.unit_id END AS unit,
    e.creative_id, e.product_id, e.category,
    i.decision_id, i.position, i.propensity,
    e.channel, e.country, i.placement, e.segment, i.attributes,
    e.clicked
FROM exposures AS e
JOIN impressions AS i
    ON i.event_id = e.event_id AND i.experiment = e.experiment AND i.withdrawn_by IS NULL
WHERE e.experiment = $experiment
    AND e.variant = $variant
    AND ($category IS NULL OR e.category = $category OR starts_with(e.category, $category || '/'))
    AND e.reason = 'assigned'
    AND NOT e.outside_phase
    AND (e.mixed_at IS NULL OR e.mixed_at >= $flagged_until)
    AND ($bots OR e.bot_at IS NULL OR e.bot_at >= $flagged_until)
    AND e.source NOT IN (SELECT UNNEST($excluded_sources))
    AND e.impressions > 0
    AND e.creative_id IS NOT NULL
    AND e.product_id IS NOT NULL
    AND e.ts < $until
    AND (NOT $final OR (e.final_at <= $known AND e.final_at <= e.source_watermark))
ORDER BY e.ts, e.event_id
