-- Every loaded segment in order: segment_number, source, path, identity, landed_micros, data_version.
SELECT segment_number, source, path, identity, landed_micros, data_version
FROM segments
ORDER BY segment_number;
