"""Arrays to tensors: what a model takes, and back."""

import keras
import numpy as np


def tensors(batch, model=None):
    """Make tensors of a batch's arrays, of their own dtypes.

    DIFFERS: a Keras layer casts by itself what it is given; a PyTorch module must be given its own dtype.

    Args:
        batch: a tuple of arrays, or of structures of them.
        model: any; it makes no difference here.

    Returns:
        A list of tensors, or of such structures.
    """
    return [keras.tree.map_structure(keras.ops.convert_to_tensor, part) for part in batch]


def tensor(array, like):
    """Make a tensor of an array, as another tensor is one."""
    return keras.ops.convert_to_tensor(array, like.dtype)


def array(tensor):
    """Copy a tensor to an array."""
    return np.array(keras.ops.convert_to_numpy(tensor), order="C")  # on PyTorch some are laid out otherwise


class Epochs(keras.utils.PyDataset):
    """Batches of the current epoch, as ``fit``, ``evaluate`` and ``predict`` take them.

    Args:
        batches_of: maps an epoch (from 0) to its sequence of batches.
    """

    def __init__(self, batches_of):
        super().__init__()
        self.batches_of = batches_of
        self.epoch = 0

    def __len__(self):
        """The number of batches."""
        return len(self.batches_of(self.epoch))

    def __getitem__(self, step):
        """One batch."""
        return self.batches_of(self.epoch)[step]
