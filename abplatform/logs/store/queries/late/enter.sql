-- Gives the waiting late events that a backfill names its number; nothing comes back.
UPDATE late_events SET entered = $number
WHERE entered IS NULL
  AND segment_number <= $last
  AND ($source = '' OR source = $source)
  AND ts_micros >= $from_micros
  AND ts_micros < $to_micros;
