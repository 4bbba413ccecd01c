-- When experiments run: experiment, starts_micros, ends_micros.
SELECT experiment, starts_micros, ends_micros FROM running ORDER BY experiment, starts_micros;
