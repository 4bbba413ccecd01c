-- The totals of touched units as they become, and the row that each takes the place of (stale; null
-- where there is none). Only units that got new rows are added to; the others are whole.
SELECT
    d.experiment, d.variant, d.unit_id, d.unit_slice, d.category, d.bot, d.mixed,
    d.impressions + COALESCE(u.impressions, 0) AS impressions,
    d.clicked + COALESCE(u.clicked, 0) AS clicked,
    d.conversions + COALESCE(u.conversions, 0) AS conversions,
    d.net_value_micros + COALESCE(u.net_value_micros, 0) AS net_value_micros,
    d.cost_micros + COALESCE(u.cost_micros, 0) AS cost_micros,
    d.shown + COALESCE(u.shown, 0) AS shown,
    d.decisions + COALESCE(u.decisions, 0) AS decisions,
    d.score_micros + COALESCE(u.score_micros, 0) AS score_micros,
    d.feedbacks + COALESCE(u.feedbacks, 0) AS feedbacks,
    u.rowid AS stale
FROM totals_delta AS d
JOIN touched_units AS t ON t.experiment = d.experiment AND t.unit_id = d.unit_id
LEFT JOIN unit_category_totals AS u
    ON t.appended
    AND u.experiment = d.experiment
    AND u.unit_id = d.unit_id
    AND u.variant = d.variant
    AND u.category IS NOT DISTINCT FROM d.category
