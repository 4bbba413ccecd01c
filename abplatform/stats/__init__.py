"""Pure numbers: arrays and sums in, frozen results out. No SQL, no clock, no files."""
