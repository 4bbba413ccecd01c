-- Where the ledger and the tables differ, over everything: segment_number, source, what the ledger
-- says (accepted, quarantined, superseded, received, and the sum of its other counts) and what the
-- tables hold (accepted_found, quarantined_found, superseded_found). None, ever.
SELECT
    coalesce(l.segment_number, o.segment_number) AS segment_number,
    coalesce(l.source, o.source) AS source,
    l.received, l.accepted, l.quarantined, l.superseded,
    l.accepted + l.quarantined + l.duplicate + l.superseded + l.forgotten AS told,
    coalesce(o.accepted, 0) AS accepted_found,
    coalesce(o.quarantined, 0) AS quarantined_found,
    coalesce(o.superseded, 0) AS superseded_found
FROM ledger AS l
FULL JOIN (
    SELECT
        segment_number, source,
        CAST(sum(accepted) AS BIGINT) AS accepted,
        CAST(sum(quarantined) AS BIGINT) AS quarantined,
        CAST(sum(superseded) AS BIGINT) AS superseded
    FROM line_outcomes
    GROUP BY segment_number, source
) AS o ON o.segment_number = l.segment_number AND o.source = l.source
WHERE l.source IS NULL
   OR l.received <> l.accepted + l.quarantined + l.duplicate + l.superseded + l.forgotten
   OR l.accepted <> coalesce(o.accepted, 0)
   OR l.quarantined <> coalesce(o.quarantined, 0)
   OR l.superseded <> coalesce(o.superseded, 0)
ORDER BY segment_number, source;
