-- Categories of the log that nobody knows, and how many impressions, decisions and report rows of each
-- source name them: source, category, events.
SELECT e.source, e.category, count(*) AS events
FROM (
    SELECT source, category FROM impressions WHERE ordinal = 0 AND withdrawn_by IS NULL
    UNION ALL
    SELECT source, category FROM decisions WHERE ordinal = 0 AND withdrawn_by IS NULL
    UNION ALL
    SELECT source, category FROM aggregates WHERE withdrawn_by IS NULL
) AS e
JOIN category_names AS n ON n.raw = e.category AND n.category LIKE 'unknown/%'
GROUP BY e.source, e.category
ORDER BY events DESC, e.category, e.source;
