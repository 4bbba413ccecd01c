"""The only door to DuckDB and Spark."""
