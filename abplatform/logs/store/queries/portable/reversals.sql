-- One row per refund that names what it reverses, by event id or else by order id: refund_id,
-- refund_micros, paid_micros, currency, conversion_id.
SELECT refund_id, refund_micros, paid_micros, currency, conversion_id
FROM (
    SELECT
        r.event_id AS refund_id, r.ts_micros AS refund_micros, r.paid_micros,
        r.currency,
        c.event_id AS conversion_id,
        row_number() OVER (
            PARTITION BY r.event_id
            ORDER BY CASE WHEN c.event_id = r.reverses THEN 0 ELSE 1 END, c.ts_micros, c.event_id
        ) AS place
    FROM conversions AS r
    JOIN (
        SELECT event_id, ts_micros, event_id AS name, segment_number, withdrawn_by
        FROM conversions WHERE kind <> 'refund'
        UNION ALL
        SELECT event_id, ts_micros, order_id AS name, segment_number, withdrawn_by
        FROM conversions WHERE kind <> 'refund' AND order_id IS NOT NULL
    ) AS c ON c.name = r.reverses
    WHERE r.kind = 'refund'
      AND r.segment_number <= $known_until
      AND r.ts_micros <= $until_micros
      AND (r.withdrawn_by IS NULL OR r.withdrawn_by > $known_until)
      AND c.segment_number <= $known_until
      AND c.ts_micros <= $until_micros
      AND (c.withdrawn_by IS NULL OR c.withdrawn_by > $known_until)
) AS named
WHERE place = 1;
