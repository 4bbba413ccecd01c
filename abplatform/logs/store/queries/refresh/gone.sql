-- Rows of exposure_outcomes that are not what they were or are no more: its columns.
SELECT o.*
FROM exposure_outcomes AS o
JOIN touched_places AS p ON p.segment_number = o.segment_number AND p.line = o.line
WHERE $experiment = '' OR o.experiment = $experiment
EXCEPT ALL
SELECT * FROM fresh_outcomes;
