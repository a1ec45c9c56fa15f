"""Finds papers: the words of a query, and the index that answers it."""
