-- Units whose flag as a bot is not what it was: unit_id.
SELECT coalesce(b.unit_id, k.unit_id) AS unit_id
FROM bot_units AS b
FULL OUTER JOIN kept_bots AS k ON k.unit_id = b.unit_id
WHERE coalesce(b.bot_micros, -1) <> coalesce(k.bot_micros, -1)
   OR b.unit_id IS NULL OR k.unit_id IS NULL;
