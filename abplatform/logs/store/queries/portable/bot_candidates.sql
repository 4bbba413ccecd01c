-- Units whose flag as a bot is to be told anew: busy ones, those whose agent says so, those with a
-- quick click or one that was taken back, and those flagged before that something changed of:
-- unit_id.
SELECT unit_id FROM busy_units
UNION
SELECT unit_id FROM impressions
WHERE known_bot AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT unit_id FROM decisions
WHERE known_bot AND (segment_number > $since OR withdrawn_by > $since)
UNION
SELECT unit_id FROM impressions WHERE withdrawn_by > $since
UNION
SELECT unit_id FROM named_places
WHERE taken_back = 1
   OR (click_micros > ts_micros AND click_micros < ts_micros + $quick_micros)
UNION
SELECT k.unit_id
FROM kept_bots AS k
JOIN exposed AS e ON e.unit_id = k.unit_id
WHERE e.segment_number > $since OR e.withdrawn_by > $since
UNION
SELECT k.unit_id
FROM kept_bots AS k
JOIN named_places AS n ON n.unit_id = k.unit_id;
