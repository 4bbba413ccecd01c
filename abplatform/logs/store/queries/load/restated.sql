-- Reports whose rows of later segments outrank rows that counted when the segment $told was the last:
-- source, experiment, reports, and sums before and after of impressions, clicks, conversions,
-- value_micros and cost_micros. Mostly none.
WITH later AS (
    SELECT DISTINCT source, experiment, variant, category, product_id, creative_id, day
    FROM aggregates
    WHERE segment_number > $told
),
ranked AS (
    SELECT
        a.*,
        a.segment_number > $told AS is_new,
        row_number() OVER (
            PARTITION BY
                a.source, a.experiment, a.variant, a.category, a.product_id, a.creative_id, a.day,
                a.segment_number > $told
            ORDER BY a.revision DESC
        ) AS place
    FROM aggregates AS a
    JOIN later AS l
        ON l.source = a.source AND l.experiment = a.experiment AND l.variant = a.variant
        AND l.category = a.category AND l.product_id = a.product_id
        AND l.creative_id = a.creative_id AND l.day = a.day
    WHERE a.withdrawn_by IS NULL
)
SELECT
    e.source, e.experiment, count(*) AS reports,
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
FROM ranked AS e
JOIN ranked AS n
    ON n.is_new AND n.place = 1 AND n.revision > e.revision
    AND n.source = e.source AND n.experiment = e.experiment AND n.variant = e.variant
    AND n.category = e.category AND n.product_id = e.product_id
    AND n.creative_id = e.creative_id AND n.day = e.day
WHERE NOT e.is_new AND e.place = 1
GROUP BY e.source, e.experiment
ORDER BY e.source, e.experiment;
