-- What the analysis reads beside the events. The views exposed, unmarked, exposure_rows, exposures
-- and aggregates_current come from queries/: a question about the past puts temporary ones in their place.

-- Exposures of which there is more to say than that they were shown. Their events carry the mark.
CREATE TABLE exposure_outcomes (
    segment_number BIGINT, line BIGINT, ordinal SMALLINT,
    experiment VARCHAR, variant VARCHAR, unit_id VARCHAR, unit_slice INTEGER, event_id VARCHAR,
    ts_micros BIGINT, day DATE, source VARCHAR,
    creative_id VARCHAR, product_id VARCHAR, category VARCHAR,
    channel VARCHAR, country VARCHAR, segment VARCHAR, explored BOOLEAN, stratum VARCHAR,
    reason VARCHAR, impressions BIGINT,
    first_click_micros BIGINT,     -- null where nobody clicked within the window
    conversions BIGINT, gross_value_micros BIGINT, refunded_value_micros BIGINT,
    cost_micros BIGINT,            -- of this impression
    share_micros BIGINT,           -- of its variant's cost of the day
    score_micros BIGINT, feedbacks BIGINT,
    bot_micros BIGINT,             -- the event that showed the unit to be a bot; null for people
    mixed_micros BIGINT,           -- the unit's first exposure in a second variant; null without
    outside_phase BOOLEAN
);

-- Units that are flagged, as of the last refresh.
CREATE TABLE kept_bots (unit_id VARCHAR, bot_micros BIGINT);
CREATE TABLE kept_mixed (experiment VARCHAR, unit_id VARCHAR, mixed_micros BIGINT);

-- Events that came when the rows they belong to were final. Until a backfill lets them in, their
-- events have withdrawn_by = 0; entered is that backfill's number, or -1 for what was replaced or
-- contradicted while it waited.
CREATE TABLE late_events (
    event_table VARCHAR, segment_number BIGINT, line BIGINT, source VARCHAR, ts_micros BIGINT,
    entered BIGINT
);

-- What waits or is left out of every scorecard, as of the last refresh.
CREATE TABLE left_over (kind VARCHAR, events BIGINT);
