-- Segments of which a replacing one took something: segment_number.
SELECT DISTINCT segment_number FROM event_keys WHERE withdrawn_by = $segment_number AND superseded
UNION
SELECT DISTINCT segment_number FROM quarantine WHERE superseded_by = $segment_number;
