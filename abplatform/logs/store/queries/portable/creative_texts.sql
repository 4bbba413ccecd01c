-- One row per creative whose log carries its text.
SELECT creative_id, MIN(text) AS text FROM creative_texts GROUP BY creative_id ORDER BY creative_id
