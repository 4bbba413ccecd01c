-- The accepted events, one table a type. Every row knows its segment and line in the landing.
-- A row whose id turned out to be in conflict keeps its place and gets withdrawn_by, the number of
-- the segment that brought the conflict, so that what was known earlier can still be told. What a
-- re-emitted log replaces gets withdrawn_by, too, and is marked superseded; a report's row that a
-- higher revision outranks is marked superseded alone.
-- No primary key: on random ids it costs four times the load; dedupe is a pass over key hashes.
-- Times are microseconds since 1970 in UTC; money is in millionths of the workspace's currency.

CREATE TABLE impressions (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ordinal SMALLINT,              -- 0 for the first assignment; count events where ordinal = 0
    experiment VARCHAR, variant VARCHAR,
    ts_micros BIGINT, day DATE,    -- the workspace's day
    unit_id VARCHAR, unit_slice INTEGER,
    creative_id VARCHAR, product_id VARCHAR, category VARCHAR,
    decision_id VARCHAR, channel VARCHAR, placement VARCHAR, position INTEGER,
    country VARCHAR, segment VARCHAR, propensity DOUBLE, explored BOOLEAN,
    stratum VARCHAR,               -- decisions of one have the same creatives and propensities
    reason VARCHAR,
    user_agent VARCHAR, known_bot BOOLEAN,
    attributes VARCHAR,            -- the flat map as JSON; its numbers are in covariates too
    marked BOOLEAN                 -- whether it has a row in exposure_outcomes; null when not
);

CREATE TABLE decisions (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ordinal SMALLINT,
    experiment VARCHAR, variant VARCHAR,
    ts_micros BIGINT, day DATE,
    unit_id VARCHAR, unit_slice INTEGER,
    creative_id VARCHAR, product_id VARCHAR, category VARCHAR,
    decision_id VARCHAR, channel VARCHAR, placement VARCHAR, position INTEGER,
    country VARCHAR, segment VARCHAR, propensity DOUBLE, explored BOOLEAN,
    stratum VARCHAR,               -- decisions of one have the same creatives and propensities
    reason VARCHAR,
    user_agent VARCHAR, known_bot BOOLEAN,
    attributes VARCHAR,
    action VARCHAR,
    marked BOOLEAN
);

-- Numbers among an event's attributes (pre-period totals), in millionths so that sums are exact.
CREATE TABLE covariates (segment_number BIGINT, line BIGINT, name VARCHAR, value_micros BIGINT);

CREATE TABLE clicks (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ts_micros BIGINT,
    impression_id VARCHAR, impression_hash UBIGINT, decision_id VARCHAR, position INTEGER
);

CREATE TABLE conversions (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ts_micros BIGINT,
    impression_id VARCHAR, impression_hash UBIGINT, unit_id VARCHAR, kind VARCHAR,
    paid_micros BIGINT, currency VARCHAR, -- as the event said it
    order_id VARCHAR, reverses VARCHAR
);

CREATE TABLE costs (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ts_micros BIGINT,
    impression_id VARCHAR, impression_hash UBIGINT,
    experiment VARCHAR, variant VARCHAR, day DATE,
    paid_micros BIGINT, currency VARCHAR
);

CREATE TABLE feedback (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ts_micros BIGINT,
    impression_id VARCHAR, impression_hash UBIGINT, score_micros BIGINT
);

CREATE TABLE behaviour (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    ts_micros BIGINT,
    unit_id VARCHAR, action VARCHAR, item_id VARCHAR,
    query VARCHAR, rating_micros BIGINT, text VARCHAR, value_micros BIGINT
);

CREATE TABLE aggregates (
    event_id VARCHAR, key_hash UBIGINT,
    segment_number BIGINT, line BIGINT, withdrawn_by BIGINT, superseded BOOLEAN, source VARCHAR,
    event_key VARCHAR,             -- all but the counts, and the revision: what makes two rows one
    ts_micros BIGINT,
    experiment VARCHAR, variant VARCHAR, category VARCHAR, product_id VARCHAR, creative_id VARCHAR,
    day DATE, revision BIGINT,
    impressions BIGINT, clicks BIGINT, conversions BIGINT, value_micros BIGINT, cost_micros BIGINT
);

CREATE TABLE creative_texts (creative_id VARCHAR, text VARCHAR);

-- One row an event: what tells it apart, where it stands, and whether it counts.
CREATE VIEW event_keys AS
SELECT
    'impressions' AS event_table, event_id AS event_key, key_hash, segment_number, line, source,
    ts_micros, withdrawn_by, superseded
FROM impressions WHERE ordinal = 0
UNION ALL
SELECT
    'decisions', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM decisions WHERE ordinal = 0
UNION ALL
SELECT
    'clicks', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM clicks
UNION ALL
SELECT
    'conversions', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM conversions
UNION ALL
SELECT
    'costs', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM costs
UNION ALL
SELECT
    'feedback', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM feedback
UNION ALL
SELECT
    'behaviour', event_id, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM behaviour
UNION ALL
SELECT
    'aggregates', event_key, key_hash, segment_number, line, source, ts_micros, withdrawn_by,
    superseded
FROM aggregates;

-- One row an event or quarantined line, with a 1 for what became of it in the ledger. A late event
-- (withdrawn_by = 0) waits, but it is accepted.
CREATE VIEW line_outcomes AS
SELECT
    segment_number, source,
    CAST(coalesce(withdrawn_by, 0) = 0 AND superseded IS NOT TRUE AS BIGINT) AS accepted,
    0 AS quarantined,
    CAST(superseded IS TRUE AS BIGINT) AS superseded
FROM event_keys
UNION ALL
SELECT
    segment_number, source, 0,
    CAST(superseded_by IS NULL AS BIGINT),
    CAST(superseded_by IS NOT NULL AS BIGINT)
FROM quarantine;
