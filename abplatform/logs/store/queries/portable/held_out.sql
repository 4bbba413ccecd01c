-- One row: how many impressions the permanent holdout has had (impressions).
SELECT COUNT(*) AS impressions
FROM impressions
WHERE ordinal = 0 AND withdrawn_by IS NULL AND reason = 'holdout'
