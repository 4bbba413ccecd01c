-- What money is worth in each experiment: experiment, currency, rate.
SELECT experiment, currency, rate FROM rates ORDER BY experiment, currency;
