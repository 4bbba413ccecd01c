-- One row: how many impressions and decisions there are, at most that many exposures an experiment.
SELECT
    (SELECT COUNT(*) FROM impressions) + (SELECT COUNT(*) FROM decisions) AS exposures
