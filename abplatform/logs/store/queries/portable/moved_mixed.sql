-- Units whose flag as seen in two variants is not what it was: experiment, unit_id.
SELECT
    coalesce(m.experiment, k.experiment) AS experiment, coalesce(m.unit_id, k.unit_id) AS unit_id
FROM mixed_units AS m
FULL OUTER JOIN kept_mixed AS k ON k.experiment = m.experiment AND k.unit_id = m.unit_id
WHERE coalesce(m.mixed_micros, -1) <> coalesce(k.mixed_micros, -1)
   OR m.unit_id IS NULL OR k.unit_id IS NULL;
