"""Tests that need PyTorch: a process of their own."""
