"""Arrays to tensors: what a model takes, and back."""

import sys

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
        self.begin(0)

    def begin(self, epoch):
        """Turn to an epoch (from 0). Its sequence is asked for once: it may be one whose batches are made ahead."""
        self.epoch, self.batches = epoch, self.batches_of(epoch)

    def turn_to(self, batches):
        """Turn to other batches of the same shapes, however many: what `untuned` has made gives these then."""
        self.batches = batches

    def __len__(self):
        """The number of batches."""
        return len(self.batches)

    def __getitem__(self, step):
        """One batch."""
        return self.batches[step]

    def untuned(self, counted=True):
        """What a model is given of them: on TensorFlow a data set such as Keras makes of them, but without a tuner.

        That is a thread which nothing wakes when the data end, and whoever ends waits for it, often half a second:
        a fifth of the time that a training with its evaluations takes (TensorFlow 2.21).

        Args:
            counted: whether it says how many batches there are; not where it is to give another number of them later.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        tensorflow = sys.modules["tensorflow"]
        data, options = tensorflow.data, tensorflow.data.Options()
        options.autotune.enabled = False
        kinds = keras.tree.map_structure(
            lambda leaf: tensorflow.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), self.batches[0]
        )
        made = data.Dataset.from_generator(
            lambda: map(self.__getitem__, range(len(self))), output_signature=kinds
        )
        made = made.prefetch(data.AUTOTUNE).with_options(options)
        return made.apply(data.experimental.assert_cardinality(len(self))) if counted else made


def made_up(model):
    """Make inputs of a model's own shapes: 4 samples, normal where floats are taken, small whole numbers elsewhere.

    Raises:
        ValueError: nobody can tell the shapes.
    """
    generator = np.random.default_rng(0)
    if hasattr(model, "_inputs_struct"):
        return keras.tree.map_structure(
            lambda tensor: _array(generator, tensor.shape, keras.backend.standardize_dtype(tensor.dtype)),
            model._inputs_struct,
        )
    config = model.get_build_config() or {}
    shape = config.get("input_shape")
    if not shape:
        raise ValueError("the model's input shapes aren't known: give data")
    return _array(generator, shape, keras.config.floatx())


def _array(generator, shape, dtype):
    shape = (4, *(8 if size is None else size for size in shape[1:]))
    if "float" in dtype:
        return keras.ops.convert_to_tensor(generator.normal(size=shape).astype("float32"), dtype)
    return keras.ops.convert_to_tensor(generator.integers(0, 2, shape), dtype)
