-- What quarantined lines named that nobody knew: detail, each once.
SELECT DISTINCT detail
FROM quarantine
WHERE reason IN ('unknown_experiment', 'unknown_variant', 'unknown_currency')
ORDER BY detail;
