"""Tests of `compare.verdict`."""
