"""The tests: torch and Keras each in a process of their own."""
