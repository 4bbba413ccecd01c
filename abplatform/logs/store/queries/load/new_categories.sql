-- Categories that segments after a number name, each once: category.
SELECT category FROM impressions WHERE segment_number > $since
UNION
SELECT category FROM decisions WHERE segment_number > $since
UNION
SELECT category FROM aggregates WHERE segment_number > $since;
