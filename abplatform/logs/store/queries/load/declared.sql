-- Experiments that mapping files declare, with their variants in order of appearance: experiment,
-- control (the rule), unit, variant, ordinal.
SELECT e.experiment, e.control, e.unit, v.variant, v.ordinal
FROM declared_experiments AS e
JOIN declared_variants AS v ON v.experiment = e.experiment
ORDER BY e.experiment, v.ordinal;
