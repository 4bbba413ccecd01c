-- What each segment holds that is not forgotten yet: segment_number, source, events.
-- Deliveries of the same bytes are counted once; so is what was forgotten of them.
SELECT segment_number, source, contained - forgotten AS events
FROM ledger
ORDER BY segment_number, source;
