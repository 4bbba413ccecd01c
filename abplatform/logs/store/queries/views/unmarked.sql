-- The exposures that were shown and nothing more, as of now: those without a row in
-- exposure_outcomes, told by a mark on the event itself, since a join would cost half of a scan.
SELECT
    segment_number,
    experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    reason,
    CAST(1 AS BIGINT) AS impressions
FROM impressions
WHERE experiment IS NOT NULL AND withdrawn_by IS NULL AND marked IS NULL
UNION ALL
SELECT
    segment_number,
    experiment, variant, unit_id, unit_slice, event_id, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    CASE WHEN reason IN ('forced', 'fallback', 'holdout') THEN reason ELSE 'assigned' END AS reason,
    CAST(0 AS BIGINT) AS impressions
FROM decisions
WHERE action = 'hold' AND experiment IS NOT NULL AND withdrawn_by IS NULL AND marked IS NULL;
