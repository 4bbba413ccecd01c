-- What changed the answer without a segment of its own, in order: number, kind, identity,
-- after_segment, data_version.
SELECT number, kind, identity, after_segment, data_version FROM corrections ORDER BY number;
