"""Why fit and evaluate part in a person's own model."""
