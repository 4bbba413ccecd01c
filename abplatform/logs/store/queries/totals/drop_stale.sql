-- Takes out the rows that totals_merged stands for; nothing comes back.
DELETE FROM unit_category_totals WHERE rowid IN (SELECT stale FROM totals_merged)
