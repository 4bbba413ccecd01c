-- What waits or is left out of every scorecard: kind, events. Orphan clicks name an impression that
-- has not come (found by hash: a collision would leave one uncounted); unplaced costs name a
-- variant's day without impressions; late events came when their rows were final. Early clicks lie
-- more than the tolerance before their impression, late ones behind the window of its first experiment.
-- Unpriced conversions and costs are in a currency without a rate in an experiment of theirs.
WITH money AS (
    SELECT
        segment_number, line, currency, impression_hash, unit_id,
        CAST(NULL AS VARCHAR) AS experiment
    FROM conversions
    WHERE segment_number <= $known_until AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT segment_number, line, currency, impression_hash, CAST(NULL AS VARCHAR), experiment
    FROM costs
    WHERE segment_number <= $known_until AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
),

unpriced AS (
    SELECT e.experiment, k.currency
    FROM experiments AS e
    CROSS JOIN (SELECT DISTINCT currency FROM money) AS k
    LEFT JOIN rates AS x ON x.experiment = e.experiment AND x.currency = k.currency
    WHERE x.rate IS NULL AND k.currency IS NOT NULL
),

found AS (
    SELECT
        count(*) AS clicks,
        sum(CASE WHEN c.ts_micros < i.ts_micros - $early_micros THEN 1 ELSE 0 END) AS early,
        sum(CASE WHEN c.ts_micros > i.ts_micros + e.attribution_micros THEN 1 ELSE 0 END) AS late
    FROM clicks AS c
    JOIN impressions AS i ON i.key_hash = c.impression_hash AND i.ordinal = 0
    LEFT JOIN experiments AS e ON e.experiment = i.experiment
    WHERE c.segment_number <= $known_until
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
      AND i.segment_number <= $known_until
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
)

SELECT 'orphan_clicks' AS kind, (
    SELECT count(*) FROM clicks
    WHERE segment_number <= $known_until AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
) - (
    SELECT clicks FROM found
) - (
    SELECT count(*)
    FROM (
        SELECT DISTINCT c.segment_number, c.line
        FROM clicks AS c
        JOIN impressions AS i
            ON i.decision_id = c.decision_id
           AND coalesce(i.position, -1) = coalesce(c.position, -1)
           AND i.ordinal = 0
        WHERE c.impression_id IS NULL
          AND i.ts_micros <= c.ts_micros + $early_micros
          AND c.segment_number <= $known_until
          AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
          AND i.segment_number <= $known_until
          AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    ) AS decided
) AS events
UNION ALL
SELECT 'early_clicks' AS kind, coalesce(early, 0) AS events FROM found
UNION ALL
SELECT 'late_clicks' AS kind, coalesce(late, 0) AS events FROM found
UNION ALL
SELECT 'outside_phase' AS kind, count(*) AS events FROM exposure_outcomes WHERE outside_phase
UNION ALL
SELECT 'mixed_units' AS kind, count(*) AS events FROM kept_mixed
UNION ALL
SELECT 'bot_units' AS kind, count(*) AS events FROM kept_bots
UNION ALL
SELECT 'late_events' AS kind, count(*) AS events FROM late_events WHERE entered IS NULL
UNION ALL
SELECT 'unplaced_cost_days' AS kind, (
    SELECT count(*)
    FROM (
        SELECT DISTINCT experiment, variant, day FROM costs
        WHERE impression_id IS NULL
          AND segment_number <= $known_until
          AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    ) AS cells
) - (
    SELECT count(*)
    FROM (
        SELECT DISTINCT c.experiment, c.variant, c.day
        FROM costs AS c
        JOIN impressions AS i
            ON i.experiment = c.experiment AND i.variant = c.variant AND i.day = c.day
        WHERE c.impression_id IS NULL
          AND c.segment_number <= $known_until
          AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
          AND i.segment_number <= $known_until
          AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    ) AS placed
) AS events
UNION ALL
SELECT 'unpriced' AS kind, count(*) AS events
FROM (
    SELECT m.segment_number, m.line
    FROM money AS m
    JOIN unpriced AS u ON u.currency = m.currency
    JOIN impressions AS i ON i.experiment = u.experiment AND i.key_hash = m.impression_hash
    WHERE i.segment_number <= $known_until
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    UNION
    SELECT m.segment_number, m.line
    FROM money AS m
    JOIN unpriced AS u ON u.currency = m.currency
    JOIN impressions AS i ON i.experiment = u.experiment AND i.unit_id = m.unit_id
    WHERE m.impression_hash IS NULL
      AND i.segment_number <= $known_until
      AND (i.withdrawn_by IS NULL OR i.withdrawn_by > $known_until)
    UNION
    SELECT m.segment_number, m.line
    FROM money AS m
    JOIN unpriced AS u ON u.experiment = m.experiment AND u.currency = m.currency
    WHERE m.impression_hash IS NULL
) AS counted;
