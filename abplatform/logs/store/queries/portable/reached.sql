-- Exposures of which something may have changed beyond having been shown: segment_number, line,
-- unit_id. All that were withdrawn are among them, and without a beginning ($since < 0) those kept
-- from before.
SELECT segment_number, line, unit_id FROM named_places
UNION
SELECT e.segment_number, e.line, e.unit_id
FROM exposed AS e
JOIN moved_bots AS b ON b.unit_id = e.unit_id
UNION
SELECT e.segment_number, e.line, e.unit_id
FROM exposed AS e
JOIN bot_units AS b ON b.unit_id = e.unit_id
WHERE e.segment_number > $since
UNION
SELECT e.segment_number, e.line, e.unit_id
FROM exposed AS e
JOIN moved_mixed AS m ON m.experiment = e.experiment AND m.unit_id = e.unit_id
UNION
SELECT e.segment_number, e.line, e.unit_id
FROM exposed AS e
JOIN mixed_units AS m ON m.experiment = e.experiment AND m.unit_id = e.unit_id
WHERE e.segment_number > $since
UNION
SELECT i.segment_number, i.line, i.unit_id
FROM impressions AS i
JOIN touched_cells AS c
    ON c.experiment = i.experiment AND c.variant = i.variant AND c.day = i.day
UNION
SELECT e.segment_number, e.line, e.unit_id
FROM exposed AS e
LEFT JOIN running AS r
    ON r.experiment = e.experiment
   AND e.ts_micros >= r.starts_micros AND e.ts_micros < r.ends_micros
WHERE r.experiment IS NULL AND e.experiment IS NOT NULL
  AND e.segment_number > $since
UNION
SELECT segment_number, line, unit_id FROM exposed WHERE withdrawn_by > $since
UNION
SELECT segment_number, line, unit_id FROM exposure_outcomes WHERE $since < 0;
