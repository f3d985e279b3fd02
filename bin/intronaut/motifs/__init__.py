"""PWMs, sites, similarity, families."""
