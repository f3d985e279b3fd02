"""Reading and writing files: text, FASTA, tables, h5ad, checkpoints, VCF, tracks, peaks, downloads."""
