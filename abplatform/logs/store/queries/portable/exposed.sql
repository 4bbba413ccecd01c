-- One row per impression and held decision, in each of its experiments (null in none), live or not:
-- where it stands, what it says, and impressions (1, or 0 for a held decision).
SELECT
    segment_number, line, ordinal, withdrawn_by,
    experiment, variant, unit_id, unit_slice, event_id, key_hash, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    reason,
    decision_id, position, CAST(1 AS BIGINT) AS impressions
FROM impressions
UNION ALL
SELECT
    segment_number, line, ordinal, withdrawn_by,
    experiment, variant, unit_id, unit_slice, event_id, key_hash, ts_micros, day, source,
    creative_id, product_id, category, channel, country, segment, explored, stratum,
    CASE WHEN reason IN ('forced', 'fallback', 'holdout') THEN reason ELSE 'assigned' END AS reason,
    decision_id, position, CAST(0 AS BIGINT) AS impressions
FROM decisions
WHERE action = 'hold';
