-- Takes the mark from events that have no row in exposure_outcomes any more; nothing comes back.
UPDATE {table} SET marked = NULL
FROM (
    SELECT g.segment_number, g.line, g.ordinal
    FROM gone AS g
    LEFT JOIN come AS c
        ON c.segment_number = g.segment_number AND c.line = g.line AND c.ordinal = g.ordinal
    WHERE c.line IS NULL
) AS u
WHERE {table}.segment_number = u.segment_number
  AND {table}.line = u.line
  AND {table}.ordinal = u.ordinal;
