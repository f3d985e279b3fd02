"""Sentences, sections and templates of the report."""
