"""The gap between fit and evaluate: measured, and split into terms that add up to it."""
