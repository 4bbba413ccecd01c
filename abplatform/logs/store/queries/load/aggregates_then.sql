-- aggregates_current as it was when segments up to a number were loaded: the columns of that view.
SELECT
    experiment, variant, category, product_id, creative_id, day,
    impressions, clicks, conversions, value_micros, cost_micros, source
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY source, experiment, variant, category, product_id, creative_id, day
            ORDER BY revision DESC
        ) AS place
    FROM aggregates
    WHERE segment_number <= $known_until
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
) AS ranked
WHERE place = 1;
