-- Reports whose rows of later segments outrank rows that counted when the segment $told was the last:
-- source, experiment, reports, and sums before and after of impressions, clicks, conversions,
-- value_micros and cost_micros. Mostly none. Categories are called what they are called today.
WITH later AS (
    SELECT DISTINCT source, experiment, variant, category, product_id, creative_id, day
    FROM named_reports
    WHERE segment_number > $told
),
ranked AS (
    SELECT
        a.*,
        a.segment_number > $told AS is_new,
        rank() OVER (
            PARTITION BY
                a.source, a.experiment, a.variant, a.category, a.product_id, a.creative_id, a.day,
                a.segment_number > $told
            ORDER BY a.revision DESC
        ) AS place
    FROM named_reports AS a
    JOIN later AS l
        ON l.source = a.source AND l.experiment = a.experiment AND l.variant = a.variant
        AND l.category = a.category AND l.product_id = a.product_id
        AND l.creative_id = a.creative_id AND l.day = a.day
    WHERE a.withdrawn_by IS NULL
),
reports AS (
    SELECT
        source, experiment, variant, category, product_id, creative_id, day,
        is_new, revision, count(*) AS report_rows,
        sum(impressions) AS impressions,
        sum(clicks) AS clicks,
        sum(conversions) AS conversions,
        sum(value_micros) AS value_micros,
        sum(cost_micros) AS cost_micros
    FROM ranked
    WHERE place = 1
    GROUP BY ALL
)
SELECT
    e.source, e.experiment, CAST(sum(e.report_rows) AS BIGINT) AS reports,
    CAST(sum(e.impressions) AS BIGINT) AS impressions_before,
    CAST(sum(n.impressions) AS BIGINT) AS impressions_after,
    CAST(sum(e.clicks) AS BIGINT) AS clicks_before,
    CAST(sum(n.clicks) AS BIGINT) AS clicks_after,
    CAST(sum(e.conversions) AS BIGINT) AS conversions_before,
    CAST(sum(n.conversions) AS BIGINT) AS conversions_after,
    CAST(sum(e.value_micros) AS BIGINT) AS value_micros_before,
    CAST(sum(n.value_micros) AS BIGINT) AS value_micros_after,
    CAST(sum(e.cost_micros) AS BIGINT) AS cost_micros_before,
    CAST(sum(n.cost_micros) AS BIGINT) AS cost_micros_after
FROM reports AS e
JOIN reports AS n
    ON n.revision > e.revision
    AND n.source = e.source AND n.experiment = e.experiment AND n.variant = e.variant
    AND n.category = e.category AND n.product_id = e.product_id
    AND n.creative_id = e.creative_id AND n.day = e.day
WHERE NOT e.is_new AND n.is_new
GROUP BY e.source, e.experiment
ORDER BY e.source, e.experiment;
