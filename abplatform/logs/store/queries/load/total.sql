-- The identity's six counts over everything: received, accepted, quarantined, duplicate, superseded,
-- forgotten.
SELECT
    CAST(coalesce(sum(received), 0) AS BIGINT) AS received,
    CAST(coalesce(sum(accepted), 0) AS BIGINT) AS accepted,
    CAST(coalesce(sum(quarantined), 0) AS BIGINT) AS quarantined,
    CAST(coalesce(sum(duplicate), 0) AS BIGINT) AS duplicate,
    CAST(coalesce(sum(superseded), 0) AS BIGINT) AS superseded,
    CAST(coalesce(sum(forgotten), 0) AS BIGINT) AS forgotten
FROM ledger;
