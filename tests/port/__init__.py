"""Tests of `compare.port`."""
