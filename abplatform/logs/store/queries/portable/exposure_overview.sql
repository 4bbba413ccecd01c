-- One row: what one experiment's exposures up to a moment consist of: rows and units that count,
-- flagged units, and how many of the rows that count may still change. Of all rows, whether they
-- count or not, the last one or flag (newest_at) and when the last one becomes final
-- (newest_final_at; null where a source has no watermark).
SELECT
    COUNT(*) AS rows_seen,
    COUNT(DISTINCT CASE WHEN counts THEN unit_id END) AS units,
    SUM(CASE WHEN counts THEN 1 ELSE 0 END) AS rows_counted,
    SUM(CASE WHEN counts AND NOT settled THEN 1 ELSE 0 END) AS rows_provisional,
    MIN(CASE WHEN counts THEN ts END) AS first_at,
    MAX(CASE WHEN counts THEN ts END) AS last_at,
    MAX(
        CASE
            WHEN COALESCE(mixed_at, ts) > ts AND mixed_at >= COALESCE(bot_at, ts) THEN mixed_at
            WHEN COALESCE(bot_at, ts) > ts THEN bot_at
            ELSE ts
        END
    ) AS newest_at,
    CASE WHEN COUNT(*) = COUNT(source_watermark) THEN MAX(final_at) END AS newest_final_at,
    MIN(source_watermark) AS watermark_low,
    MAX(source_watermark) AS watermark_high,
    COUNT(DISTINCT CASE WHEN is_bot THEN unit_id END) AS bot_units,
    COUNT(DISTINCT CASE WHEN is_mixed THEN unit_id END) AS mixed_units
FROM (
    SELECT
        *,
        reason = 'assigned' AND NOT outside_phase
            AND NOT is_mixed AND ($bots OR NOT is_bot) AS counts,
        final_at <= $known - $extra AND final_at <= source_watermark - $extra AS settled
    FROM (
        SELECT
            *,
            COALESCE(bot_at < $flagged_until, FALSE) AS is_bot,
            COALESCE(mixed_at < $flagged_until, FALSE) AS is_mixed
        FROM exposures
        WHERE experiment = $experiment
            AND ts < $until
            AND source NOT IN (SELECT UNNEST($excluded_sources))
    ) AS flagged
) AS seen
