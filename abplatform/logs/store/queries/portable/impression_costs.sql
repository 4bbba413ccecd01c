-- What impressions cost one by one: impression_id, cost_micros.
SELECT impression_id, CAST(sum(cost_micros) AS BIGINT) AS cost_micros
FROM costs
WHERE impression_id IS NOT NULL
  AND segment_number <= $known_until
  AND ts_micros <= $until_micros
  AND (withdrawn_by IS NULL OR withdrawn_by > $known_until)
GROUP BY impression_id;
