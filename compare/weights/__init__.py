"""Weights as named arrays: from any file, of which network, and how they are written."""
