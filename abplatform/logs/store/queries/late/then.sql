-- An event table as it was before late events of later backfills were let in: its columns.
-- Those that were replaced while they waited never counted. The
-- catalogue kept is that of the tables that stay.
SELECT
    t.* EXCLUDE (withdrawn_by),
    CASE WHEN l.line IS NULL THEN t.withdrawn_by ELSE 0 END AS withdrawn_by
FROM kept.{table} AS t
LEFT JOIN (
    SELECT segment_number, line FROM kept.late_events
    WHERE event_table = '{table}' AND (entered > $entered OR entered = -1)
) AS l ON l.segment_number = t.segment_number AND l.line = t.line;
