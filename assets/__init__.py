"""The flow as Dagster assets, each a thin shell over a function the CLI calls too."""
