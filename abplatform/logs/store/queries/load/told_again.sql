-- Key hashes of the suspects whose rows in one table and in the chunk are alike in all columns but
-- the $silent ones, and count: key_hash. Each must have been delivered once there and once here.
WITH suspects AS (
    SELECT *, 1 AS side
    FROM {table}
    WHERE segment_number BETWEEN $first AND $last
      AND key_hash IN (SELECT key_hash FROM staged_suspects)
    UNION ALL BY NAME
    SELECT *, -1 AS side
    FROM staged_rows
),
contents AS (
    SELECT key_hash, withdrawn_by, side, hash(*COLUMNS(lambda c: c NOT IN $silent)) AS content_hash
    FROM suspects
)
SELECT key_hash
FROM contents
GROUP BY key_hash
HAVING sum(side) = 0 AND bit_xor(content_hash) = 0 AND max(coalesce(withdrawn_by, 0)) = 0;
