-- Conversions and refunds on the exposure they count for: experiment, event_id, conversions,
-- gross_value_micros, refunded_value_micros. By impression: within conversion_window of its first
-- click, else of itself. By unit: on the unit's first exposure, within conversion_window of it,
-- whatever was clicked. A refund counts where the conversion it reverses counts, within
-- refund_window of that; one that names none counts like a conversion whose window is longer by
-- refund_window.
SELECT
    experiment, event_id,
    CAST(sum(conversions) AS BIGINT) AS conversions,
    CAST(sum(CASE WHEN conversions = 1 THEN value_micros ELSE 0 END) AS BIGINT)
        AS gross_value_micros,
    CAST(sum(CASE WHEN conversions = 1 THEN 0 ELSE -value_micros END) AS BIGINT)
        AS refunded_value_micros
FROM (
    SELECT
        p.experiment, p.event_id,
        CASE WHEN p.kind = 'refund' THEN 0 ELSE 1 END AS conversions, p.value_micros
    FROM placed_conversions AS p
    WHERE p.reverses IS NULL OR p.kind <> 'refund'
    UNION ALL
    SELECT
        p.experiment, p.event_id, 0 AS conversions,
        CAST(SIGN(r.paid_micros) * FLOOR(ABS(r.paid_micros) * x.rate + 0.5) AS BIGINT) AS value_micros
    FROM placed_conversions AS p
    JOIN reversals AS r ON r.conversion_id = p.conversion_id
    JOIN rates AS x ON x.experiment = p.experiment AND x.currency = r.currency
    WHERE p.kind <> 'refund'
      AND r.refund_micros >= p.conversion_micros
      AND r.refund_micros <= p.conversion_micros + p.refund_window_micros
) AS counted
GROUP BY experiment, event_id;
