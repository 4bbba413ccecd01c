-- Exposures that are computed anew, by where they stand: segment_number, line.
SELECT segment_number, line FROM reached
UNION
SELECT e.segment_number, e.line
FROM exposed AS e
JOIN touched_converters AS u ON u.unit_id = e.unit_id;
