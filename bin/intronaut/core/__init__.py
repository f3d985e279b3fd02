"""Errors and exit codes, whole files, log and progress, DNA codes."""
