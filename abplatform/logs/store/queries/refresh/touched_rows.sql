-- Exposures that are new, withdrawn or not what they were, by unit: experiment, unit_id, appended
-- (whether all of them are new), after_segment, since_day (the first of
-- their days), unit_slice.
SELECT
    experiment, unit_id, bool_and(segment_number > $last) AS appended,
    $last AS after_segment, min(day) AS since_day, min(unit_slice) AS unit_slice
FROM (
    SELECT experiment, unit_id, unit_slice, segment_number, day
    FROM exposed
    WHERE experiment IS NOT NULL AND (segment_number > $since OR withdrawn_by > $since)
      AND $experiment = ''
    UNION ALL
    SELECT experiment, unit_id, unit_slice, segment_number, day FROM gone
    UNION ALL
    SELECT experiment, unit_id, unit_slice, segment_number, day FROM come
) AS touched
GROUP BY experiment, unit_id;
