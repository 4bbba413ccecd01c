-- One row per reason for which exposures of one experiment up to a moment are left out of its
-- scorecard: cause, exposures, units, impressions. Each exposure has one cause, the first that
-- applies in this order: excluded_source, earlier_weights (from $began until $reweighted),
-- outside_phase, forced, fallback or holdout, mixed_units, bots (unless they count).
SELECT
    cause,
    COUNT(*) AS exposures,
    COUNT(DISTINCT unit_id) AS units,
    SUM(impressions) AS impressions
FROM (
    SELECT
        unit_id,
        impressions,
        CASE
            WHEN source IN (SELECT UNNEST($excluded_sources)) THEN 'excluded_source'
            WHEN outside_phase AND ts >= $began AND ts < $reweighted THEN 'earlier_weights'
            WHEN outside_phase THEN 'outside_phase'
            WHEN reason <> 'assigned' THEN reason
            WHEN mixed_at < $flagged_until THEN 'mixed_units'
            WHEN bot_at < $flagged_until AND NOT $bots THEN 'bots'
        END AS cause
    FROM exposures
    WHERE experiment = $experiment AND ts < $until
) AS seen
WHERE cause IS NOT NULL
GROUP BY cause
ORDER BY cause
