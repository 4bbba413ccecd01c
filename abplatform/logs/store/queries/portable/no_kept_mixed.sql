-- No rows, with the columns of kept_mixed.
SELECT experiment, unit_id, ts_micros AS mixed_micros FROM impressions WHERE FALSE;
