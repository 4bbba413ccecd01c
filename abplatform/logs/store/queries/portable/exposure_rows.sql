-- One row per (impression or held decision) and experiment with everything that counts for it, as
-- integers: the columns of the table exposure_rows.
SELECT
    s.experiment, s.variant, s.unit_id, s.unit_slice, s.event_id, s.ts_micros, s.day, s.source,
    s.creative_id, s.product_id, s.category, s.channel, s.country, s.segment, s.reason,
    b.bot_micros, s.outside_phase, m.mixed_micros,
    s.impressions,
    CAST(CASE WHEN f.event_id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS clicked,
    CAST(coalesce(o.conversions, 0) AS BIGINT) AS conversions,
    CAST(coalesce(o.net_value_micros, 0) AS BIGINT) AS net_value_micros,
    CAST(coalesce(c.cost_micros, 0) + coalesce(d.cost_micros, 0) AS BIGINT) AS cost_micros,
    s.impressions AS shown, CAST(1 AS BIGINT) AS decisions,
    CAST(coalesce(p.score_micros, 0) AS BIGINT) AS score_micros,
    CAST(coalesce(p.feedbacks, 0) AS BIGINT) AS feedbacks,
    s.final_micros
FROM stood AS s
LEFT JOIN first_clicks AS f ON f.event_id = s.event_id AND f.experiment = s.experiment
LEFT JOIN outcomes AS o ON o.event_id = s.event_id AND o.experiment = s.experiment
LEFT JOIN impression_costs AS c
    ON c.impression_id = s.event_id AND c.experiment = s.experiment AND s.impressions = 1
LEFT JOIN day_shares AS d ON d.event_id = s.event_id AND d.experiment = s.experiment
LEFT JOIN scores AS p ON p.impression_id = s.event_id AND s.impressions = 1
LEFT JOIN bot_units AS b ON b.unit_id = s.unit_id
LEFT JOIN mixed_units AS m ON m.experiment = s.experiment AND m.unit_id = s.unit_id;
