-- Keeps the texts of creatives that are not known yet; nothing comes back.
INSERT INTO creative_texts
SELECT s.creative_id, min(s.text)
FROM staged_texts AS s
WHERE s.creative_id NOT IN (SELECT creative_id FROM creative_texts)
GROUP BY s.creative_id;
