-- What the exposures in the store were computed for: experiment, unit, assignment, control, and its
-- windows in microseconds.
SELECT
    experiment, unit, assignment, control,
    attribution_micros, conversion_micros, refund_micros, late_micros
FROM experiments
ORDER BY experiment;
