-- The segments that hold decisions of one variant to show something.
SELECT DISTINCT segment_number
FROM decisions
WHERE experiment = $experiment
    AND variant = $variant
    AND action = 'show'
    AND withdrawn_by IS NULL
ORDER BY segment_number
