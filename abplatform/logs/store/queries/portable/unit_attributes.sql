-- One row per unit of an experiment whose first exposure carries one of two attributes, in
-- millionths: unit_id, numerator, denominator. What it does not carry is null.
WITH firsts AS (
    SELECT unit_id, event_id
    FROM (
        SELECT
            unit_id,
            event_id,
            ROW_NUMBER() OVER (PARTITION BY unit_id ORDER BY ts, event_id) AS place
        FROM exposures
        WHERE experiment = $experiment AND reason = 'assigned' AND NOT outside_phase
    ) AS ranked
    WHERE place = 1
),

placed AS (
    SELECT event_id, segment_number, line
    FROM impressions
    WHERE ordinal = 0
      AND segment_number <= $known_until
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
    UNION ALL
    SELECT event_id, segment_number, line
    FROM decisions
    WHERE ordinal = 0
      AND segment_number <= $known_until
      AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
)

SELECT
    f.unit_id,
    MAX(CASE WHEN c.name = $numerator THEN c.value_micros END) AS numerator,
    MAX(CASE WHEN c.name = $denominator THEN c.value_micros END) AS denominator
FROM firsts AS f
JOIN placed AS p ON p.event_id = f.event_id
JOIN covariates AS c ON c.segment_number = p.segment_number AND c.line = p.line
WHERE c.name IN ($numerator, $denominator)
GROUP BY f.unit_id
