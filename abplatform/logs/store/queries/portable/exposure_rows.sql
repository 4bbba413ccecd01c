-- One row per (impression or held decision) and experiment with everything that counts for it, as
-- integers.
SELECT
    r.experiment, r.variant, r.unit_id, r.unit_slice, r.event_id, r.ts_micros, r.day, r.source,
    r.creative_id, r.product_id, r.category, r.channel, r.country, r.segment, r.explored, r.stratum,
    r.reason,
    r.bot_micros, r.outside_phase, r.mixed_micros,
    r.impressions, r.clicked, r.conversions, r.net_value_micros, r.cost_micros,
    r.impressions AS shown, CAST(1 AS BIGINT) AS decisions, r.score_micros, r.feedbacks,
    r.ts_micros + e.attribution_micros + e.late_micros AS final_micros,
    r.gross_value_micros, r.refunded_value_micros, r.segment_number
FROM (
    SELECT
        experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
        creative_id, product_id, category, channel, country, segment, explored, stratum,
        reason, segment_number,
        CAST(NULL AS BIGINT) AS bot_micros, FALSE AS outside_phase,
        CAST(NULL AS BIGINT) AS mixed_micros,
        impressions, CAST(0 AS BIGINT) AS clicked, CAST(0 AS BIGINT) AS conversions,
        CAST(0 AS BIGINT) AS net_value_micros, CAST(0 AS BIGINT) AS cost_micros,
        CAST(0 AS BIGINT) AS score_micros, CAST(0 AS BIGINT) AS feedbacks,
        CAST(0 AS BIGINT) AS gross_value_micros, CAST(0 AS BIGINT) AS refunded_value_micros
    FROM unmarked
    UNION ALL
    SELECT
        experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
        creative_id, product_id, category, channel, country, segment, explored, stratum,
        reason, segment_number,
        bot_micros, outside_phase, mixed_micros,
        impressions,
        CAST(CASE WHEN first_click_micros IS NULL THEN 0 ELSE 1 END AS BIGINT) AS clicked,
        conversions, gross_value_micros - refunded_value_micros AS net_value_micros,
        cost_micros + share_micros AS cost_micros, score_micros, feedbacks,
        gross_value_micros, refunded_value_micros
    FROM exposure_outcomes
) AS r
JOIN experiments AS e ON e.experiment = r.experiment;
