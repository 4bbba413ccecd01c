-- Touched segments in which received = accepted + quarantined + duplicate + superseded + forgotten
-- does not hold, and what counts without a ledger row: segment_number, source, received, found.
-- None, ever.
SELECT
    segment_number, source, received,
    accepted + quarantined + duplicate + superseded + forgotten AS found
FROM ledger
WHERE segment_number IN (SELECT segment_number FROM staged_touched)
  AND received <> accepted + quarantined + duplicate + superseded + forgotten
UNION ALL
SELECT e.segment_number, e.source, 0, count(*)
FROM event_keys AS e
LEFT JOIN ledger AS l ON l.segment_number = e.segment_number AND l.source = e.source
WHERE e.segment_number IN (SELECT segment_number FROM staged_touched) AND l.source IS NULL
GROUP BY e.segment_number, e.source;
