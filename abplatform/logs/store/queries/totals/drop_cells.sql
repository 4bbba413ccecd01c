-- Takes out the bucket sums that touched_cells names; nothing comes back.
DELETE FROM bucket_sums
USING touched_cells AS c
WHERE c.experiment = bucket_sums.experiment
    AND c.unit_slice = bucket_sums.unit_slice
    AND bucket_sums.day >= c.since_day
