-- Takes a source's events of some hours out of what counts, for the segment that replaces them;
-- nothing comes back.
UPDATE {table}
SET withdrawn_by = $segment_number, superseded = true
WHERE source = $source
  AND ts_micros >= $from_micros AND ts_micros < $to_micros
  AND segment_number < $segment_number
  AND coalesce(withdrawn_by, 0) = 0;
