-- Counts anew, from the tables, what of each segment and source is accepted, quarantined and
-- superseded; received and duplicate were counted while reading. Nothing comes back.
UPDATE ledger
SET accepted = coalesce(found.accepted, 0),
    quarantined = coalesce(found.quarantined, 0),
    superseded = coalesce(found.superseded, 0)
FROM (
    SELECT
        l.segment_number, l.source, live.events - coalesce(late.events, 0) AS accepted,
        bad.events AS quarantined, late.events AS superseded
    FROM ledger AS l
    LEFT JOIN (
        SELECT segment_number, source, count(*) AS events
        FROM event_keys WHERE withdrawn_by IS NULL
        GROUP BY segment_number, source
    ) AS live ON live.segment_number = l.segment_number AND live.source = l.source
    LEFT JOIN (
        SELECT segment_number, source, count(*) AS events
        FROM quarantine
        GROUP BY segment_number, source
    ) AS bad ON bad.segment_number = l.segment_number AND bad.source = l.source
    LEFT JOIN (
        SELECT segment_number, source, count(*) AS events
        FROM (
            SELECT
                segment_number, source,
                row_number() OVER (
                    PARTITION BY
                        source, experiment, variant, category, product_id, creative_id, day
                    ORDER BY revision DESC
                ) AS place
            FROM aggregates WHERE withdrawn_by IS NULL
        ) AS ranked
        WHERE place > 1
        GROUP BY segment_number, source
    ) AS late ON late.segment_number = l.segment_number AND late.source = l.source
) AS found
WHERE found.segment_number = ledger.segment_number AND found.source = ledger.source;
