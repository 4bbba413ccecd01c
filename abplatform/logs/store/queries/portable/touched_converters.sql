-- Units with conversions that name no impression, of which something changed: unit_id. All their
-- exposures are looked at, since such a conversion counts on the first of them.
SELECT unit_id FROM touched_conversions WHERE impression_id IS NULL AND unit_id IS NOT NULL
UNION
SELECT c.unit_id
FROM (SELECT DISTINCT unit_id FROM conversions WHERE impression_id IS NULL) AS c
JOIN exposed AS e ON e.unit_id = c.unit_id
WHERE e.segment_number > $since
UNION
SELECT c.unit_id
FROM (SELECT DISTINCT unit_id FROM conversions WHERE impression_id IS NULL) AS c
JOIN reached AS r ON r.unit_id = c.unit_id;
