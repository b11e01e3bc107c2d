"""Tests of `compare.gap`."""
