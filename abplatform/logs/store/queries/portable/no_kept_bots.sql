-- No rows, with the columns of kept_bots.
SELECT unit_id, ts_micros AS bot_micros FROM impressions WHERE FALSE;
