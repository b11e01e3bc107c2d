"""The transfer models and what batch normalisation does to them, in PyTorch."""
