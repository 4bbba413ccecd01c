-- What has been loaded, from where, with which outcome.

CREATE TABLE meta (name VARCHAR, value VARCHAR);

CREATE TABLE segments (
    segment_number BIGINT, source VARCHAR, path VARCHAR, identity VARCHAR,
    landed_micros BIGINT,
    data_version VARCHAR           -- of the store once this segment was in
);

CREATE TABLE ledger (
    segment_number BIGINT, source VARCHAR,
    contained BIGINT,              -- events in the segment; received counts every delivery of it
    received BIGINT, accepted BIGINT, quarantined BIGINT,
    duplicate BIGINT, superseded BIGINT, forgotten BIGINT
);

CREATE TABLE quarantine (
    segment_number BIGINT, line BIGINT, source VARCHAR,
    reason VARCHAR, detail VARCHAR,
    raw BLOB,                      -- the line's bytes, capped
    event_key VARCHAR, key_hash UBIGINT, content_hash UBIGINT -- known only for conflicting ids
);

CREATE TABLE sources (source VARCHAR, watermark_micros BIGINT);
