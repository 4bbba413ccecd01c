-- What categories of the log are called today.

-- Every category that the log has named so far, as it named it.
CREATE TABLE categories_seen (raw VARCHAR);

-- Those that are called otherwise: renamed, or known to nobody (unknown/<path>). Mostly empty.
CREATE TABLE category_names (raw VARCHAR, category VARCHAR);

-- Rows of reports whose categories are called what they are called today.
CREATE VIEW named_reports AS
SELECT a.* REPLACE (coalesce(n.category, a.category) AS category)
FROM aggregates AS a
LEFT JOIN category_names AS n ON n.raw = a.category;
