-- Takes rows that are not what they were out of exposure_outcomes; nothing comes back.
DELETE FROM exposure_outcomes
USING gone AS g
WHERE exposure_outcomes.segment_number = g.segment_number
  AND exposure_outcomes.line = g.line
  AND exposure_outcomes.ordinal = g.ordinal;
