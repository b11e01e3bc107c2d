"""Moving weights between files of Keras and PyTorch, and proving that the network stayed the same.

This is for files of the two reference networks; `compare.pair.porting` moves any model's weights into any class. Layers
are compared by `compare.parity.layers`, as the reference networks' are. What this one does and that one can't is why it
stays:

- a file is enough: nobody has to have the class in code, and the file is run by its framework's own loading, too;
- it knows the classes of both libraries and their older names, folds biases away and says what is to be set in code;
- it proves in float64 and float32, and one framework after the other, which takes half of the memory that two
  processes side by side take; training is left to `compare parity`.
"""

from compare.port.move import port

__all__ = ["port"]
