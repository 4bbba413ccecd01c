-- Sets one fact about the store itself; nothing comes back.
MERGE INTO meta USING (SELECT $name AS name, $value AS value) AS told ON meta.name = told.name
WHEN MATCHED THEN UPDATE SET value = told.value
WHEN NOT MATCHED THEN INSERT VALUES (told.name, told.value);
