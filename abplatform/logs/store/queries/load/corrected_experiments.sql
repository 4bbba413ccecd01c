-- Experiments of which a replacing segment took or brought something: experiment.
WITH moved AS (
    SELECT key_hash, event_table FROM event_keys
    WHERE segment_number = $segment_number OR (withdrawn_by = $segment_number AND superseded)
),
seen AS (
    SELECT experiment, key_hash, event_id, unit_id, 'impressions' AS event_table FROM impressions
    UNION ALL
    SELECT experiment, key_hash, event_id, unit_id, 'decisions' FROM decisions
)
SELECT DISTINCT experiment
FROM (
    SELECT experiment FROM seen WHERE key_hash IN (SELECT key_hash FROM moved)
    UNION ALL
    SELECT experiment FROM aggregates WHERE key_hash IN (SELECT key_hash FROM moved)
    UNION ALL
    SELECT experiment FROM costs WHERE key_hash IN (SELECT key_hash FROM moved)
    UNION ALL
    SELECT s.experiment
    FROM seen AS s
    WHERE s.event_id IN (
        SELECT impression_id FROM clicks WHERE key_hash IN (SELECT key_hash FROM moved)
        UNION ALL
        SELECT impression_id FROM conversions WHERE key_hash IN (SELECT key_hash FROM moved)
        UNION ALL
        SELECT impression_id FROM costs WHERE key_hash IN (SELECT key_hash FROM moved)
        UNION ALL
        SELECT impression_id FROM feedback WHERE key_hash IN (SELECT key_hash FROM moved)
    )
    UNION ALL
    SELECT s.experiment
    FROM seen AS s
    WHERE s.unit_id IN (
        SELECT unit_id FROM conversions WHERE key_hash IN (SELECT key_hash FROM moved)
    )
) AS concerned
WHERE experiment IS NOT NULL
ORDER BY experiment;
