"""Tests of `compare.parity`."""
