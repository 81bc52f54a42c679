"""Contracts: what crosses a boundary, as frozen and explained values. No I/O belongs here."""
