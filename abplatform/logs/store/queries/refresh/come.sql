-- Rows that exposure_outcomes does not have yet: its columns.
SELECT * FROM fresh_outcomes
EXCEPT ALL
SELECT o.*
FROM exposure_outcomes AS o
JOIN touched_places AS p ON p.segment_number = o.segment_number AND p.line = o.line;
