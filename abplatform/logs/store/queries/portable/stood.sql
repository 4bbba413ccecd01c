-- One row per touched (impression or held decision) and experiment, with what the experiment says of
-- it: its own columns, impressions (1, or 0 for a held decision), attribution_micros,
-- conversion_micros, refund_micros, outside_phase. All experiments, or the one that is named.
SELECT
    s.segment_number, s.line, s.ordinal,
    s.experiment, s.variant, s.unit_id, s.unit_slice, s.event_id, s.key_hash, s.ts_micros, s.day,
    s.source, s.creative_id, s.product_id, s.category, s.channel, s.country, s.segment,
    s.explored, s.stratum, s.reason, s.decision_id, s.position, s.impressions,
    e.attribution_micros, e.conversion_micros, e.refund_micros,
    r.experiment IS NULL AS outside_phase
FROM exposed AS s
JOIN touched_places AS p ON p.segment_number = s.segment_number AND p.line = s.line
JOIN experiments AS e ON e.experiment = s.experiment
LEFT JOIN running AS r
    ON r.experiment = s.experiment AND s.ts_micros >= r.starts_micros AND s.ts_micros < r.ends_micros
WHERE ($experiment = '' OR s.experiment = $experiment)
  AND s.segment_number <= $known_until
  AND s.ts_micros <= $until_micros
  AND (s.withdrawn_by IS NULL OR s.withdrawn_by > $known_until);
