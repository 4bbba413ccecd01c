-- The exposures by which the totals of touched units become what they are: the new ones of units that
-- only got some, and all of every other unit.
SELECT
    e.experiment, e.variant, e.unit_id, e.unit_slice, e.category, e.bot, e.mixed, e.reason,
    e.outside_phase, e.impressions, e.clicked, e.conversions, e.net_value_micros, e.cost_micros,
    e.shown, e.decisions, e.score_micros, e.feedbacks
FROM exposures AS e
JOIN touched_units AS t ON t.experiment = e.experiment AND t.unit_id = e.unit_id
WHERE t.appended AND e.segment_number > $after_segment
UNION ALL
SELECT
    e.experiment, e.variant, e.unit_id, e.unit_slice, e.category, e.bot, e.mixed, e.reason,
    e.outside_phase, e.impressions, e.clicked, e.conversions, e.net_value_micros, e.cost_micros,
    e.shown, e.decisions, e.score_micros, e.feedbacks
FROM exposures AS e
JOIN touched_units AS t ON t.experiment = e.experiment AND t.unit_id = e.unit_id
WHERE NOT t.appended
