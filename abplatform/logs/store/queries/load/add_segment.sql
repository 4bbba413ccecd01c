-- Notes a loaded segment; nothing comes back.
INSERT INTO segments VALUES (
    $segment_number, $source, $path, $identity, $landed_micros, $data_version
);
