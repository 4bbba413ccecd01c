"""What an experiment will need: units, days and power, from what the logs know."""
