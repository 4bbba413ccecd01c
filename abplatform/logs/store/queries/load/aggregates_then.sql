-- aggregates_current as it was when segments up to a number were loaded: the columns of that view.
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
        WHERE a.segment_number <= $known_until
          AND (a.withdrawn_by IS NULL OR a.withdrawn_by > $known_until)
    ) AS named
) AS ranked
WHERE place = 1;
