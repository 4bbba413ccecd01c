-- Gives quarantined versions the bytes of their lines; nothing comes back.
UPDATE quarantine SET raw = s.raw
FROM staged_raw AS s
WHERE s.segment_number = quarantine.segment_number
  AND s.line = quarantine.line
  AND quarantine.raw IS NULL;
