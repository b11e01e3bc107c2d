"""Moving weights between files of Keras and PyTorch, and proving that the network stayed the same."""
