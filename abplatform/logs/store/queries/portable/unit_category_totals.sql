-- One row per experiment, variant, unit and category of the exposures, or of some of them: the columns
-- of the table unit_category_totals. Of the units, those in a range of slices.
SELECT
    experiment,
    variant,
    unit_id,
    MIN(unit_slice) AS unit_slice,
    category,
    MAX(bot) AS bot,
    MAX(mixed) AS mixed,
    CAST(SUM(impressions) AS BIGINT) AS impressions,
    CAST(SUM(clicked) AS BIGINT) AS clicked,
    CAST(SUM(conversions) AS BIGINT) AS conversions,
    CAST(SUM(net_value_micros) AS BIGINT) AS net_value_micros,
    CAST(SUM(cost_micros) AS BIGINT) AS cost_micros,
    CAST(SUM(shown) AS BIGINT) AS shown,
    CAST(SUM(decisions) AS BIGINT) AS decisions,
    CAST(SUM(score_micros) AS BIGINT) AS score_micros,
    CAST(SUM(feedbacks) AS BIGINT) AS feedbacks
FROM {table}
WHERE reason = 'assigned'
    AND NOT outside_phase
    AND unit_slice >= $from_slice
    AND unit_slice < $until_slice
GROUP BY experiment, variant, unit_id, category
