"""Alleles and their scores."""
