"""Moving weights between files of Keras and PyTorch, and proving that the network stayed the same."""

from compare.port.move import port

__all__ = ["port"]
