-- One row per creative, category, channel, country and segment: impressions (n) that some experiments
-- assigned to people, not bots, and how many of them were clicked (k). Units of several variants, and the
-- sources that a person excluded from an experiment (its key, a space and the source), are left out as
-- in its analysis. An impression that counts in several of the experiments counts once. Null where a
-- log does not say.
SELECT
    creative_id, category, channel, country, segment,
    CAST(count(*) AS BIGINT) AS n,
    CAST(sum(clicked) AS BIGINT) AS k
FROM (
    SELECT
        event_id,
        min(creative_id) AS creative_id, min(category) AS category, min(channel) AS channel,
        min(country) AS country, min(segment) AS segment, max(clicked) AS clicked
    FROM exposures
    WHERE list_contains($experiments, experiment)
        AND reason = 'assigned'
        AND NOT outside_phase
        AND NOT bot
        AND NOT mixed
        AND NOT list_contains($excluded, experiment || ' ' || source)
        AND impressions > 0
        AND creative_id IS NOT NULL
    GROUP BY event_id
)
GROUP BY ALL
ORDER BY ALL
