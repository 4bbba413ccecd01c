-- What the analysis reads. exposure_rows is rebuilt from events; exposures adds what moves with time.

CREATE TABLE exposure_rows (
    experiment VARCHAR, variant VARCHAR, unit_id VARCHAR, unit_slice INTEGER, event_id VARCHAR,
    ts_micros BIGINT, day DATE, source VARCHAR,
    creative_id VARCHAR, product_id VARCHAR, category VARCHAR,
    channel VARCHAR, country VARCHAR, segment VARCHAR, reason VARCHAR,
    bot_micros BIGINT,             -- the event that showed the unit to be a bot; null for people
    outside_phase BOOLEAN,
    mixed_micros BIGINT,           -- the unit's first exposure in a second variant; null without
    impressions BIGINT, clicked BIGINT, conversions BIGINT, net_value_micros BIGINT,
    cost_micros BIGINT, shown BIGINT, decisions BIGINT, score_micros BIGINT, feedbacks BIGINT,
    final_micros BIGINT
);

CREATE VIEW exposures AS
SELECT
    e.experiment, e.variant, e.unit_id, e.unit_slice, e.event_id,
    make_timestamp(e.ts_micros) AS ts, e.day, e.source,
    e.creative_id, e.product_id, coalesce(n.category, e.category) AS category,
    e.channel, e.country, e.segment, e.reason,
    e.bot_micros IS NOT NULL AS bot, e.outside_phase, e.mixed_micros IS NOT NULL AS mixed,
    make_timestamp(e.bot_micros) AS bot_at, make_timestamp(e.mixed_micros) AS mixed_at,
    e.impressions, e.clicked, e.conversions, e.net_value_micros, e.cost_micros,
    e.shown, e.decisions, e.score_micros, e.feedbacks,
    make_timestamp(e.final_micros) AS final_at,
    make_timestamp(s.watermark_micros) AS source_watermark
FROM exposure_rows AS e
LEFT JOIN sources AS s ON s.source = e.source
LEFT JOIN category_names AS n ON n.raw = e.category;

CREATE VIEW aggregates_current AS
SELECT
    experiment, variant, category, product_id, creative_id, day,
    impressions, clicks, conversions, value_micros, cost_micros, source
FROM (
    SELECT
        *,
        -- Two names of one category in one report both count; a later report replaces either.
        rank() OVER (
            PARTITION BY source, experiment, variant, category, product_id, creative_id, day
            ORDER BY revision DESC
        ) AS place
    FROM (
        SELECT a.* REPLACE (coalesce(n.category, a.category) AS category)
        FROM aggregates AS a
        LEFT JOIN category_names AS n ON n.raw = a.category
        WHERE a.withdrawn_by IS NULL
    ) AS named
) AS ranked
WHERE place = 1;

-- What waits or is left out of every scorecard, as of the last refresh.
CREATE TABLE left_over (kind VARCHAR, events BIGINT);
