"""The port to the engine: SQL in, Arrow out, append-only batches, one commit point. No Dagster, no dbt, no vendor."""
