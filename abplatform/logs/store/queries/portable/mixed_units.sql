-- Units that were assigned to two variants of one experiment while it ran: experiment, unit_id.
SELECT experiment, unit_id
FROM stood
WHERE reason = 'assigned' AND NOT outside_phase
GROUP BY experiment, unit_id
HAVING min(variant) <> max(variant);
