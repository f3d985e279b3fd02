"""Attribution, in-silico mutagenesis, contributions, permutation, stability selection, explanation."""
