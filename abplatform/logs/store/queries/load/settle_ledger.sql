-- Counts anew, from the tables, what of the touched segments is accepted, quarantined and
-- superseded; received, duplicate and forgotten were counted while reading. Nothing comes back.
UPDATE ledger
SET accepted = found.accepted, quarantined = found.quarantined, superseded = found.superseded
FROM (
    SELECT
        l.segment_number, l.source,
        coalesce(sum(o.accepted), 0) AS accepted,
        coalesce(sum(o.quarantined), 0) AS quarantined,
        coalesce(sum(o.superseded), 0) AS superseded
    FROM ledger AS l
    LEFT JOIN (
        SELECT
            segment_number, source,
            sum(accepted) AS accepted, sum(quarantined) AS quarantined,
            sum(superseded) AS superseded
        FROM line_outcomes
        WHERE segment_number IN (SELECT segment_number FROM staged_touched)
        GROUP BY segment_number, source
    ) AS o ON o.segment_number = l.segment_number AND o.source = l.source
    WHERE l.segment_number IN (SELECT segment_number FROM staged_touched)
    GROUP BY l.segment_number, l.source
) AS found
WHERE found.segment_number = ledger.segment_number AND found.source = ledger.source;
