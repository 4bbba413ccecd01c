-- What the analysis reads: one row per (impression or held decision) and experiment, in the names and
-- times of today.
SELECT
    e.experiment, e.variant, e.unit_id, e.unit_slice, e.event_id,
    make_timestamp(e.ts_micros) AS ts, e.day, e.source,
    e.creative_id, e.product_id, coalesce(n.category, e.category) AS category,
    e.channel, e.country, e.segment, e.explored, e.stratum, e.reason,
    e.bot_micros IS NOT NULL AS bot, e.outside_phase, e.mixed_micros IS NOT NULL AS mixed,
    make_timestamp(e.bot_micros) AS bot_at, make_timestamp(e.mixed_micros) AS mixed_at,
    e.impressions, e.clicked, e.conversions, e.net_value_micros, e.cost_micros,
    e.shown, e.decisions, e.score_micros, e.feedbacks,
    make_timestamp(e.final_micros) AS final_at,
    make_timestamp(s.watermark_micros) AS source_watermark,
    e.gross_value_micros, e.refunded_value_micros, e.segment_number
FROM exposure_rows AS e
LEFT JOIN sources AS s ON s.source = e.source
LEFT JOIN category_names AS n ON n.raw = e.category;
