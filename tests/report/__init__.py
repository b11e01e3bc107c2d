"""Tests of `compare.report`."""
