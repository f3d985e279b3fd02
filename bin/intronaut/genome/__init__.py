"""Reference, chromosome names, annotation, intervals, windows, shuffles."""
