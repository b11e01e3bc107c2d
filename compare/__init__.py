"""Why fit and evaluate part, shown on the same models in Keras and in PyTorch."""
