"""Where data leaves: one module a vendor, one loop for all. No Dagster, no dbt, no warehouse."""
