"""Dagster definitions and the command line: when things run, and for whom."""
