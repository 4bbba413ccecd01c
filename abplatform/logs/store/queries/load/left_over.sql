-- What waits or is left out of every scorecard: kind, events.
SELECT kind, events FROM left_over ORDER BY kind;
