-- What has been loaded, from where, with which outcome.

CREATE TABLE meta (name VARCHAR, value VARCHAR);

CREATE TABLE segments (
    segment_number BIGINT, source VARCHAR, path VARCHAR,
    sha256 VARCHAR,                -- of its bytes
    identity VARCHAR,              -- sha256, and hashes of the mapping and of what it replaces
    landed_micros BIGINT,
    data_version VARCHAR           -- of the store once this segment was in
);

-- What changed the answer without a segment of its own, such as late events let in.
CREATE TABLE corrections (
    number BIGINT, kind VARCHAR, identity VARCHAR,
    after_segment BIGINT,          -- the last segment that was in
    data_version VARCHAR           -- of the store once this was applied
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
    -- Known only for conflicting ids:
    event_key VARCHAR, key_hash UBIGINT, content_hash UBIGINT, ts_micros BIGINT,
    superseded_by BIGINT           -- the segment that replaced it, once one did
);

CREATE TABLE sources (source VARCHAR, watermark_micros BIGINT);
