-- Takes out the totals of touched units that did not only get new rows; nothing comes back.
DELETE FROM unit_category_totals
USING touched_units AS t
WHERE NOT t.appended
    AND t.experiment = unit_category_totals.experiment
    AND t.unit_id = unit_category_totals.unit_id
