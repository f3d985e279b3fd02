"""What each embed_* tool computes."""
