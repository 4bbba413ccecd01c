-- Marks a source's conflicting ids of some hours as replaced by a segment; nothing comes back.
UPDATE quarantine
SET superseded_by = $segment_number
WHERE source = $source
  AND ts_micros >= $from_micros AND ts_micros < $to_micros
  AND segment_number < $segment_number
  AND superseded_by IS NULL;
