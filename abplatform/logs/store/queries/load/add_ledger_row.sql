-- Notes what was read of one source in one segment; nothing comes back.
INSERT INTO ledger VALUES (
    $segment_number, $source, $received, $received, 0, 0, $duplicate, 0, 0
);
