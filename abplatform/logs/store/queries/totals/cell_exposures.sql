-- The exposures of the cells that touched_cells names.
SELECT
    e.experiment, e.variant, e.unit_slice, e.day, e.category, e.bot, e.mixed, e.reason,
    e.outside_phase, e.impressions, e.clicked, e.conversions, e.net_value_micros, e.cost_micros,
    e.shown, e.decisions, e.score_micros, e.feedbacks
FROM exposures AS e
JOIN touched_cells AS c
    ON c.experiment = e.experiment AND c.unit_slice = e.unit_slice
WHERE e.day >= $since AND e.day >= c.since_day
