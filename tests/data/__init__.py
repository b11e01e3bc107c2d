"""Tests of `compare.data`."""
