-- One row per variant and level of one breakdown: how many units it has, and over those units the
-- sums of their totals (a), of squares (a_sq) and of products (a_x_b), and how many units have a
-- total that is not zero (a_units). Level is '' without a breakdown. Everything is an exact integer.
WITH counted AS (
    SELECT
        variant,
        CASE WHEN $by_event THEN event_id ELSE unit_id END AS unit,
        CASE $breakdown
            WHEN 'category' THEN REGEXP_EXTRACT(COALESCE(category, 'unknown'), $category_pattern, 0)
            WHEN 'segment' THEN COALESCE(segment, 'unknown')
            WHEN 'channel' THEN COALESCE(channel, 'unknown')
            WHEN 'country' THEN COALESCE(country, 'unknown')
            ELSE ''
        END AS level,
        impressions,
        clicked,
        conversions,
        net_value_micros,
        cost_micros,
        shown,
        decisions,
        score_micros,
        feedbacks,
        CASE
            WHEN creative_id IN (SELECT UNNEST($matched)) THEN impressions ELSE 0
        END AS matched
    FROM exposures
    WHERE experiment = $experiment
        AND reason = 'assigned'
        AND NOT outside_phase
        AND (mixed_at IS NULL OR mixed_at >= $flagged_until)
        AND ($bots OR bot_at IS NULL OR bot_at >= $flagged_until)
        AND source NOT IN (SELECT UNNEST($excluded_sources))
        AND ts < $until
        AND (NOT $final OR (final_at <= $known - $extra AND final_at <= source_watermark - $extra))
),

units AS (
    SELECT
        variant,
        level,
        CAST(SUM(impressions) AS DECIMAL(19, 0)) AS impressions,
        CAST(SUM(clicked) AS DECIMAL(19, 0)) AS clicked,
        CAST(SUM(conversions) AS DECIMAL(19, 0)) AS conversions,
        CAST(SUM(net_value_micros) AS DECIMAL(19, 0)) AS value,
        CAST(SUM(cost_micros) AS DECIMAL(19, 0)) AS cost,
        CAST(SUM(net_value_micros) - SUM(cost_micros) AS DECIMAL(19, 0)) AS profit,
        CAST(SUM(shown) AS DECIMAL(19, 0)) AS shown,
        CAST(SUM(decisions) AS DECIMAL(19, 0)) AS decisions,
        CAST(SUM(score_micros) AS DECIMAL(19, 0)) AS score,
        CAST(SUM(feedbacks) AS DECIMAL(19, 0)) AS feedbacks,
        CAST(SUM(matched) AS DECIMAL(19, 0)) AS matched
    FROM counted
    GROUP BY variant, level, unit
)

SELECT
    variant,
    level,
    COUNT(*) AS units,
    SUM(impressions) AS impressions,
    SUM(clicked) AS clicked,
    SUM(conversions) AS conversions,
    SUM(value) AS value,
    SUM(cost) AS cost,
    SUM(profit) AS profit,
    SUM(shown) AS shown,
    SUM(decisions) AS decisions,
    SUM(score) AS score,
    SUM(feedbacks) AS feedbacks,
    SUM(matched) AS matched,
    SUM(impressions * impressions) AS impressions_sq,
    SUM(clicked * clicked) AS clicked_sq,
    SUM(conversions * conversions) AS conversions_sq,
    SUM(value * value) AS value_sq,
    SUM(cost * cost) AS cost_sq,
    SUM(profit * profit) AS profit_sq,
    SUM(shown * shown) AS shown_sq,
    SUM(decisions * decisions) AS decisions_sq,
    SUM(score * score) AS score_sq,
    SUM(feedbacks * feedbacks) AS feedbacks_sq,
    SUM(matched * matched) AS matched_sq,
    SUM(clicked * impressions) AS clicked_x_impressions,
    SUM(conversions * clicked) AS conversions_x_clicked,
    SUM(conversions * impressions) AS conversions_x_impressions,
    SUM(value * impressions) AS value_x_impressions,
    SUM(value * cost) AS value_x_cost,
    SUM(cost * conversions) AS cost_x_conversions,
    SUM(profit * cost) AS profit_x_cost,
    SUM(shown * decisions) AS shown_x_decisions,
    SUM(score * feedbacks) AS score_x_feedbacks,
    SUM(matched * impressions) AS matched_x_impressions,
    SUM(CASE WHEN impressions <> 0 THEN 1 ELSE 0 END) AS impressions_units,
    SUM(CASE WHEN clicked <> 0 THEN 1 ELSE 0 END) AS clicked_units,
    SUM(CASE WHEN conversions <> 0 THEN 1 ELSE 0 END) AS conversions_units,
    SUM(CASE WHEN value <> 0 THEN 1 ELSE 0 END) AS value_units,
    SUM(CASE WHEN cost <> 0 THEN 1 ELSE 0 END) AS cost_units,
    SUM(CASE WHEN profit <> 0 THEN 1 ELSE 0 END) AS profit_units,
    SUM(CASE WHEN shown <> 0 THEN 1 ELSE 0 END) AS shown_units,
    SUM(CASE WHEN decisions <> 0 THEN 1 ELSE 0 END) AS decisions_units,
    SUM(CASE WHEN score <> 0 THEN 1 ELSE 0 END) AS score_units,
    SUM(CASE WHEN feedbacks <> 0 THEN 1 ELSE 0 END) AS feedbacks_units,
    SUM(CASE WHEN matched <> 0 THEN 1 ELSE 0 END) AS matched_units
FROM units
GROUP BY variant, level
ORDER BY level, variant
