-- Units with more impressions in a minute, hour or day than a person looks at: unit_id.
SELECT unit_id FROM busy_minutes WHERE shown > $most_a_minute
UNION
SELECT unit_id FROM busy_minutes
GROUP BY unit_id, minute_micros - minute_micros % 3600000000
HAVING sum(shown) > $most_an_hour
UNION
SELECT unit_id FROM busy_minutes
GROUP BY unit_id, day
HAVING sum(shown) > $most_a_day;
