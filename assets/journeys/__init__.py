"""Journeys: read, checked, published, advanced by set-based SQL; what is sent is decided here, delivered as syncs."""
