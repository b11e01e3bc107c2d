"""Timings against what someone would write by hand, and measurements of memory."""
