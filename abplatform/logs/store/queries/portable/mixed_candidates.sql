-- Units that may have been assigned to two variants of one experiment: those whose changed rows say
-- so, among themselves or beside earlier ones, be they live or not, so that a flag may go: experiment,
-- unit_id.
SELECT experiment, unit_id
FROM exposed
WHERE reason = 'assigned' AND experiment IS NOT NULL
  AND (segment_number > $since OR withdrawn_by > $since)
GROUP BY experiment, unit_id
HAVING min(variant) <> max(variant)
UNION
SELECT e.experiment, e.unit_id
FROM exposed AS e
JOIN (
    SELECT experiment, unit_id, min(variant) AS variant
    FROM exposed
    WHERE $since >= 0 AND reason = 'assigned' AND experiment IS NOT NULL
      AND (segment_number > $since OR withdrawn_by > $since)
    GROUP BY experiment, unit_id
) AS n ON n.experiment = e.experiment AND n.unit_id = e.unit_id AND n.variant <> e.variant
WHERE e.reason = 'assigned' AND e.segment_number <= $since;
