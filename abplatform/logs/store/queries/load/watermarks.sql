-- Each source's watermark: source, watermark_micros.
SELECT source, watermark_micros FROM sources ORDER BY source;
