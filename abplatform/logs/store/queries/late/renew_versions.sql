-- Gives segments the data version that the store had with them; nothing comes back.
UPDATE segments SET data_version = s.data_version
FROM staged_versions AS s
WHERE s.segment_number = segments.segment_number;
