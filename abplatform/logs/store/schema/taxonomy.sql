-- What categories of the log are called today.

-- Every category that the log has named so far, as it named it.
CREATE TABLE categories_seen (raw VARCHAR);

-- Those that are called otherwise: renamed, or known to nobody (unknown/<path>). Mostly empty.
CREATE TABLE category_names (raw VARCHAR, category VARCHAR);
