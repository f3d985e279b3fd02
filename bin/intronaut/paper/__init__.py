"""All that exists only to repeat the study of 2025, faults included."""
