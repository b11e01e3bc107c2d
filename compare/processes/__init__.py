"""The one way to a framework's process."""
