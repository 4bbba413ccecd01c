-- Raises a source's watermark, or begins it; it never falls. Nothing comes back.
MERGE INTO sources USING (SELECT $source AS source, $watermark_micros AS watermark_micros) AS told
ON sources.source = told.source
WHEN MATCHED AND told.watermark_micros > sources.watermark_micros
    THEN UPDATE SET watermark_micros = told.watermark_micros
WHEN NOT MATCHED THEN INSERT VALUES (told.source, told.watermark_micros);
