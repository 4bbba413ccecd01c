-- Decisions of the touched impressions: decision_id.
SELECT DISTINCT decision_id FROM stood WHERE decision_id IS NOT NULL AND impressions = 1;
