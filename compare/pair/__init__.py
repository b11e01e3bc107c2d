"""A Keras model and somebody's PyTorch port of it: which array is which, and whether both train the same."""
