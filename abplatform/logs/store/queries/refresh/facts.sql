-- What each experiment's exposures depend on besides events: experiment, fact.
SELECT
    experiment,
    concat_ws(',', 'windows', attribution_micros, conversion_micros, refund_micros) AS fact
FROM experiments
UNION ALL
SELECT experiment, concat_ws(',', 'running', starts_micros, ends_micros) FROM running
UNION ALL
SELECT experiment, concat_ws(',', 'rate', currency, rate) FROM rates
ORDER BY experiment, fact;
