-- Adds experiments and variants that mapping files declare and that are not known yet, in order of
-- appearance; nothing comes back.
INSERT INTO declared_variants
SELECT
    s.experiment, s.variant,
    coalesce(known.variants, 0)
        + row_number() OVER (PARTITION BY s.experiment ORDER BY s.appeared) - 1 AS ordinal
FROM staged_declared AS s
LEFT JOIN (
    SELECT experiment, count(*) AS variants FROM declared_variants GROUP BY experiment
) AS known ON known.experiment = s.experiment
WHERE NOT EXISTS (
    SELECT 1 FROM declared_variants AS d
    WHERE d.experiment = s.experiment AND d.variant = s.variant
);
