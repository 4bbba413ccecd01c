-- Rows of reports whose rank a transaction changed: segment_number, line, key_hash, superseded
-- (whether a higher revision of the same report, in the names of today, counts now).
SELECT segment_number, line, key_hash, place > 1 AS superseded
FROM (
    SELECT
        segment_number, line, key_hash, superseded,
        rank() OVER (
            PARTITION BY source, experiment, variant, category, product_id, creative_id, day
            ORDER BY revision DESC
        ) AS place
    FROM named_reports
    WHERE withdrawn_by IS NULL
      AND (source, experiment, variant, category, product_id, creative_id, day) IN (
          SELECT (source, experiment, variant, category, product_id, creative_id, day)
          FROM named_reports
          WHERE segment_number >= $first OR withdrawn_by >= $first
      )
) AS ranked
WHERE coalesce(superseded, false) <> (place > 1);
