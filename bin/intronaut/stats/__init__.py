"""Metrics, bootstrap, model comparison, association."""
