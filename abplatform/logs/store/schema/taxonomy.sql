-- What categories are called today where the log calls them otherwise: one row per category of the
-- log that has been renamed, or that nobody knows (unknown/<path>). Mostly empty.

CREATE TABLE category_names (raw VARCHAR, category VARCHAR);
