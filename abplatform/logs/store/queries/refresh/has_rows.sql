-- Which experiments have exposures at all: experiment.
SELECT DISTINCT experiment FROM exposed WHERE experiment IS NOT NULL;
