-- At most three rows: units of the permanent holdout, all others, and those that were seen as both
-- (side: holdout, others, both), over the workspace days from the holdout's first impression to its
-- last. Per side the units, and over them the sums of impressions (n) and clicked impressions (k),
-- their squares and product, how many units have any, and the first and the last moment. Forced and
-- fallback impressions, those of bots, of experiments that were assigned elsewhere or by another
-- unit, and those that late clicks may still change are left out.
WITH shown AS (
    SELECT
        i.unit_id,
        i.event_id,
        i.ts_micros,
        i.day,
        CASE WHEN i.reason = 'holdout' THEN 1 ELSE 0 END AS held
    FROM impressions AS i
    JOIN sources AS s ON s.source = i.source
    LEFT JOIN experiments AS e ON e.experiment = i.experiment
    LEFT JOIN kept_bots AS b ON b.unit_id = i.unit_id
    WHERE i.ordinal = 0
        AND i.withdrawn_by IS NULL
        AND i.reason NOT IN ('forced', 'fallback')
        AND COALESCE(e.unit, 'user_id') = 'user_id'
        AND COALESCE(e.assignment, 'platform') = 'platform'
        AND b.unit_id IS NULL
        AND i.ts_micros + $attribution_micros + $late_micros <= s.watermark_micros
),

period AS (
    SELECT MIN(day) AS first_day, MAX(day) AS last_day FROM shown WHERE held = 1
),

clicked AS (
    SELECT s.event_id
    FROM shown AS s
    JOIN click_targets AS t ON t.impression_id = s.event_id
    WHERE t.click_micros >= s.ts_micros - $early_micros
        AND t.click_micros <= s.ts_micros + $attribution_micros
    GROUP BY s.event_id
),

units AS (
    SELECT
        s.unit_id,
        MAX(s.held) AS any_held,
        MIN(s.held) AS all_held,
        MIN(s.ts_micros) AS first_micros,
        MAX(s.ts_micros) AS last_micros,
        CAST(COUNT(*) AS DECIMAL(19, 0)) AS n,
        CAST(COUNT(c.event_id) AS DECIMAL(19, 0)) AS k
    FROM shown AS s
    JOIN period AS p ON s.day >= p.first_day AND s.day <= p.last_day
    LEFT JOIN clicked AS c ON c.event_id = s.event_id
    GROUP BY s.unit_id
)

SELECT
    CASE
        WHEN all_held = 1 THEN 'holdout'
        WHEN any_held = 1 THEN 'both'
        ELSE 'others'
    END AS side,
    COUNT(*) AS units,
    SUM(n) AS n,
    SUM(k) AS k,
    SUM(n * n) AS nn,
    SUM(k * k) AS kk,
    SUM(k * n) AS kn,
    SUM(CASE WHEN n <> 0 THEN 1 ELSE 0 END) AS n_units,
    SUM(CASE WHEN k <> 0 THEN 1 ELSE 0 END) AS k_units,
    MIN(first_micros) AS first_micros,
    MAX(last_micros) AS last_micros
FROM units
GROUP BY 1
ORDER BY side
