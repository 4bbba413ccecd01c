-- The ledger: segment_number, source, contained and the six counts of the identity.
SELECT
    segment_number, source, contained,
    received, accepted, quarantined, duplicate, superseded, forgotten
FROM ledger
ORDER BY segment_number, source;
