-- No rows, with the columns of exposure_outcomes: where a computation from the beginning begins.
SELECT
    segment_number, line, ordinal,
    experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    reason,
    ts_micros AS impressions, ts_micros AS first_click_micros, ts_micros AS conversions,
    ts_micros AS gross_value_micros, ts_micros AS refunded_value_micros,
    ts_micros AS cost_micros, ts_micros AS share_micros,
    ts_micros AS score_micros, ts_micros AS feedbacks,
    ts_micros AS bot_micros, ts_micros AS mixed_micros, known_bot AS outside_phase
FROM impressions
WHERE FALSE;
