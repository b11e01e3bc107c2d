"""Tests of `compare.semantics`."""
