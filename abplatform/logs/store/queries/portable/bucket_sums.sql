-- One row per experiment, day, category, variant and slice of units of the exposures, or of some of
-- them: the columns of the table bucket_sums. Flagged units are left out.
SELECT
    experiment,
    day,
    category,
    variant,
    unit_slice,
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
    AND NOT bot
    AND NOT mixed
GROUP BY experiment, day, category, variant, unit_slice
