-- No rows yet, with the columns of touched_units.
SELECT
    CAST(NULL AS VARCHAR) AS experiment, CAST(NULL AS VARCHAR) AS unit_id, FALSE AS appended,
    CAST(NULL AS BIGINT) AS after_segment, CAST(NULL AS DATE) AS since_day,
    CAST(NULL AS INTEGER) AS unit_slice
WHERE FALSE;
