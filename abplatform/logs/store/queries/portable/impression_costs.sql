-- What impressions cost one by one, in each of their experiments: experiment, impression_id,
-- cost_micros.
SELECT
    s.experiment, c.impression_id,
    CAST(sum(CAST(FLOOR(c.paid_micros * x.rate + 0.5) AS BIGINT)) AS BIGINT) AS cost_micros
FROM costs AS c
JOIN stood AS s
    ON s.key_hash = c.impression_hash AND s.event_id = c.impression_id AND s.impressions = 1
JOIN rates AS x ON x.experiment = s.experiment AND x.currency = c.currency
WHERE c.segment_number <= $known_until
  AND c.ts_micros <= $until_micros
  AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
GROUP BY s.experiment, c.impression_id;
