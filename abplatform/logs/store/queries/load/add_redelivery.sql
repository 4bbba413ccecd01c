-- Counts another delivery of a segment that is loaded already; nothing comes back.
UPDATE ledger SET received = received + contained, duplicate = duplicate + contained
WHERE segment_number = $segment_number;
