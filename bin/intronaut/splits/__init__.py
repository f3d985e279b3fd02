"""Leakage groups, folds, homology."""
