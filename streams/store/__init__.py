"""All SQL and all of ClickHouse."""
