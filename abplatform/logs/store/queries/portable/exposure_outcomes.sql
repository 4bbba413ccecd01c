-- The touched exposures of which there is more to say than that they were shown, with all of it, as
-- integers: the columns of the table exposure_outcomes.
SELECT
    segment_number, line, ordinal,
    experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    reason, impressions, first_click_micros, conversions, gross_value_micros, refunded_value_micros,
    cost_micros, share_micros, score_micros, feedbacks,
    bot_micros, mixed_micros, outside_phase
FROM (
    SELECT
        s.segment_number, s.line, s.ordinal,
        s.experiment, s.variant, s.unit_id, s.unit_slice, s.event_id, s.ts_micros, s.day, s.source,
        s.creative_id, s.product_id, s.category, s.channel, s.country, s.segment, s.explored, s.stratum,
        s.reason, s.impressions, f.first_click_micros,
        coalesce(o.conversions, 0) AS conversions,
        coalesce(o.gross_value_micros, 0) AS gross_value_micros,
        coalesce(o.refunded_value_micros, 0) AS refunded_value_micros,
        coalesce(c.cost_micros, 0) AS cost_micros, coalesce(d.cost_micros, 0) AS share_micros,
        coalesce(p.score_micros, 0) AS score_micros, coalesce(p.feedbacks, 0) AS feedbacks,
        b.bot_micros, m.mixed_micros, s.outside_phase
    FROM stood AS s
    LEFT JOIN first_clicks AS f ON f.event_id = s.event_id AND f.experiment = s.experiment
    LEFT JOIN outcomes AS o ON o.event_id = s.event_id AND o.experiment = s.experiment
    LEFT JOIN impression_costs AS c
        ON c.impression_id = s.event_id AND c.experiment = s.experiment AND s.impressions = 1
    LEFT JOIN day_shares AS d ON d.event_id = s.event_id AND d.experiment = s.experiment
    LEFT JOIN scores AS p
        ON p.impression_id = s.event_id AND p.experiment = s.experiment AND s.impressions = 1
    LEFT JOIN bot_units AS b ON b.unit_id = s.unit_id
    LEFT JOIN mixed_units AS m ON m.experiment = s.experiment AND m.unit_id = s.unit_id
) AS told
WHERE first_click_micros IS NOT NULL OR conversions <> 0
   OR gross_value_micros <> 0 OR refunded_value_micros <> 0
   OR cost_micros <> 0 OR share_micros <> 0 OR feedbacks <> 0
   OR bot_micros IS NOT NULL OR mixed_micros IS NOT NULL OR outside_phase;
