-- One row if the experiment has unit rows, none if it has not.
SELECT experiment FROM exposures WHERE experiment = $experiment LIMIT 1
