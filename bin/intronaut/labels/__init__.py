"""Callers, calls, annotation rules, peaks."""
