-- Categories of the log that are called otherwise today: raw, category.
SELECT raw, category FROM category_names ORDER BY raw;
