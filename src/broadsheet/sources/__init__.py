"""Reads papers from arXiv, Hugging Face, a saved Daily Papers page and bulk files."""
