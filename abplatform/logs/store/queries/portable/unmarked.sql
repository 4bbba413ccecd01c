-- The exposures that were shown and nothing more, as of a segment and a moment: those without a row
-- in exposure_outcomes, with their own columns.
SELECT
    e.segment_number,
    e.experiment, e.variant, e.unit_id, e.unit_slice, e.event_id, e.ts_micros, e.day, e.source,
    e.creative_id, e.product_id, e.category, e.channel, e.country, e.segment, e.explored, e.stratum,
    e.reason, e.impressions
FROM exposed AS e
LEFT JOIN exposure_outcomes AS o
    ON o.segment_number = e.segment_number AND o.line = e.line AND o.ordinal = e.ordinal
WHERE o.line IS NULL
  AND e.experiment IS NOT NULL
  AND e.segment_number <= $known_until
  AND e.ts_micros <= $until_micros
  AND (e.withdrawn_by IS NULL OR e.withdrawn_by > $known_until);
