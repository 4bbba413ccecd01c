-- What people said of impressions, in each of their experiments: experiment, impression_id,
-- score_micros, feedbacks.
SELECT
    s.experiment, f.impression_id,
    CAST(sum(f.score_micros) AS BIGINT) AS score_micros, count(*) AS feedbacks
FROM feedback AS f
JOIN stood AS s
    ON s.key_hash = f.impression_hash AND s.event_id = f.impression_id AND s.impressions = 1
WHERE f.segment_number <= $known_until
  AND f.ts_micros <= $until_micros
  AND (f.withdrawn_by IS NULL OR f.withdrawn_by > $known_until)
GROUP BY s.experiment, f.impression_id;
