-- What the loader is told about experiments, and what mapping files declare.

CREATE TABLE experiments (
    experiment VARCHAR, unit VARCHAR, assignment VARCHAR, control VARCHAR,
    attribution_micros BIGINT, conversion_micros BIGINT, refund_micros BIGINT, late_micros BIGINT
);

CREATE TABLE variants (experiment VARCHAR, variant VARCHAR, ordinal BIGINT, weight DOUBLE);

-- The stretches of time in which an experiment runs: from (included) to (excluded).
CREATE TABLE running (experiment VARCHAR, starts_micros BIGINT, ends_micros BIGINT);

CREATE TABLE declared_experiments (experiment VARCHAR, control VARCHAR, unit VARCHAR);

CREATE TABLE declared_variants (experiment VARCHAR, variant VARCHAR, ordinal BIGINT);

-- What one unit of a currency is worth in the currency of an experiment, fixed when it started.
CREATE TABLE rates (experiment VARCHAR, currency VARCHAR, rate DOUBLE);
