"""Public networks in both frameworks, and what makes them equal."""
