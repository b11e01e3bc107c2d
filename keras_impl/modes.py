"""Put a model into a mode, and back: what batch normalisation and dropout do, whatever a call then changes.

At the end of `kept`, `in_inference` and `switched` the model is as it was, bit by bit, whatever happens.
"""

import sys
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import keras

from . import keeping, names
from .bn_policy import BATCH_NORM
from .keeping import replaced

NOTHING = 1e-30  # a decay that leaves nothing of the old moving statistics, and whose logarithm is a number


def kept(model, weights=True):
    """Put back at the end what calls of the model, or settings of its layers, have changed: see `keeping`."""
    return keeping.kept(model, weights, optimizer=weights)


@contextmanager
def in_inference(model):
    """Make every BN layer normalise with its moving statistics, whatever its call is told."""
    with kept(model), ExitStack() as stack:
        for layer in names.of_layers(model, BATCH_NORM).values():
            call = partial(_call, layer.call, False)
            # the second is for this project's layers, which evaluate as their policy has it
            stack.enter_context(replaced(layer, call=call, evaluates_with="moving"))
        yield


@contextmanager
def switched(model, dropout=False, normalise="evaluate"):
    """Throw the two switches between training and evaluation one by one.

    DIFFERS: dropout is what the call's ``training`` says; a PyTorch module has a flag.

    Args:
        model: any built model.
        dropout: what a call will be told as ``training``.
        normalise: ``fit`` (layers that keep moving statistics normalise as in training; what they keep is then
            their last batch's alone) or ``evaluate``.
    """
    with kept(model), ExitStack() as stack:
        for layer in names.of_layers(model, BATCH_NORM).values():
            call = partial(_call, layer.call, normalise == "fit")
            stack.enter_context(replaced(layer, call=call, momentum=NOTHING, decay=NOTHING))
        yield


def without_gradients():
    """Keep a forward pass of this thread from holding on to what a backward pass would need.

    DIFFERS: on PyTorch a Keras model that is called keeps all of it, as a module does; on other backends nothing.
    """
    return sys.modules["torch"].no_grad() if keras.backend.backend() == "torch" else nullcontext()


def _call(call, as_in_fit, inputs, training=None, **options):
    return call(inputs, training=as_in_fit, **options)
