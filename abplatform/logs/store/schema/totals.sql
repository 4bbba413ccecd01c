-- Sums that analysis reads in place of rows. They follow the view exposures and are made anew from it
-- whenever that is in doubt. Rows that are forced, fallbacks, of the holdout or outside of their
-- experiment's running time are in neither.

-- Exact: one row per experiment, variant, unit and category. Flagged units are marked, not left out.
CREATE TABLE unit_category_totals (
    experiment VARCHAR, variant VARCHAR, unit_id VARCHAR, unit_slice INTEGER, category VARCHAR,
    bot BOOLEAN, mixed BOOLEAN,
    impressions BIGINT, clicked BIGINT, conversions BIGINT, net_value_micros BIGINT,
    cost_micros BIGINT, shown BIGINT, decisions BIGINT, score_micros BIGINT, feedbacks BIGINT
);

-- For monitoring: one row per experiment, day, category, variant and slice of units (4096 buckets). Sums
-- add up over days, shards and engines; standard errors between buckets are those between units to
-- about 1 %. Flagged units are left out.
CREATE TABLE bucket_sums (
    experiment VARCHAR, day DATE, category VARCHAR, variant VARCHAR,
    unit_slice INTEGER,
    impressions BIGINT, clicked BIGINT, conversions BIGINT, net_value_micros BIGINT,
    cost_micros BIGINT, shown BIGINT, decisions BIGINT, score_micros BIGINT, feedbacks BIGINT
);
