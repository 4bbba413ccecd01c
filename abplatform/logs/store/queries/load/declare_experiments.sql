-- Adds experiments that mapping files declare and that are not known yet; nothing comes back.
INSERT INTO declared_experiments
SELECT DISTINCT s.experiment, $control, $unit
FROM staged_declared AS s
WHERE s.experiment NOT IN (SELECT experiment FROM declared_experiments);
