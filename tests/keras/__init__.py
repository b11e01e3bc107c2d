"""Tests that need Keras: a process of their own."""
