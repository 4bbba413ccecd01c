-- Makes events that were let in look like all others again, after the refresh; nothing comes back.
UPDATE {table} SET withdrawn_by = NULL WHERE withdrawn_by = $next;
