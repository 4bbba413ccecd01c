-- What people said of impressions: impression_id, score_micros, feedbacks.
SELECT impression_id, CAST(sum(score_micros) AS BIGINT) AS score_micros, count(*) AS feedbacks
FROM feedback
WHERE segment_number <= $known_until
  AND ts_micros <= $until_micros
  AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
GROUP BY impression_id;
