"""Walks over a table that changes meanwhile, held to their contract."""
