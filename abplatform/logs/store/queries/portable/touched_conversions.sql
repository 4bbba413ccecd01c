-- Conversions that count otherwise since something of their name changed: impression_hash,
-- impression_id, unit_id.
SELECT c.impression_hash, c.impression_id, c.unit_id
FROM conversions AS c
JOIN changed_names AS n ON n.name = c.event_id
UNION ALL
SELECT c.impression_hash, c.impression_id, c.unit_id
FROM conversions AS c
JOIN changed_names AS n ON n.name = c.order_id;
