"""Tests of `compare.weights`."""
