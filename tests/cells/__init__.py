"""Tests of `compare.cells`."""
