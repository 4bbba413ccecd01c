-- Categories of the log that nobody knows, and how many impressions, decisions and report rows name
-- them: category, events.
SELECT e.category, count(*) AS events
FROM (
    SELECT category FROM impressions WHERE ordinal = 0 AND withdrawn_by IS NULL
    UNION ALL
    SELECT category FROM decisions WHERE ordinal = 0 AND withdrawn_by IS NULL
    UNION ALL
    SELECT category FROM aggregates WHERE withdrawn_by IS NULL
) AS e
JOIN category_names AS n ON n.raw = e.category AND n.category LIKE 'unknown/%'
GROUP BY e.category
ORDER BY events DESC, e.category;
