-- Decisions that any click names: decision_id.
SELECT DISTINCT decision_id FROM clicks WHERE impression_id IS NULL AND decision_id IS NOT NULL;
