"""Neutral names of a Keras model's layers and weights: those that both frameworks share.

Names and layouts are Keras's: ``conv1_conv/kernel`` is ``(height, width, in, out)``, a dense kernel ``(in, out)``.
"""

from collections import Counter


def of_layers(model, kind=object):
    """Find the layers of a kind in a model, however deeply nested: name -> layer.

    A layer is called by its own name where no other layer has it, and else by the path to it (``encoder/conv1_bn``).

    DIFFERS: a Keras layer has a name of its own; a PyTorch module is called by its path.
    """
    found = {}
    for path, layer in walk(model):
        found.setdefault(layer, path)
    count = Counter([model.name, *(layer.name for layer in found)])
    return {
        path if count[layer.name] > 1 else layer.name: layer
        for layer, path in found.items()
        if isinstance(layer, kind)
    }


def of_weights(model):
    """Find the floating-point weights and moving statistics of a model: neutral name -> variable, as it is.

    Raises:
        ValueError: two layers have the same name.
    """
    weights = [weight for weight in model.weights if "int" not in weight.dtype]
    names = ["/".join(weight.path.split("/")[-2:]) for weight in weights]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"layers of the model have the same name: {', '.join(twice)}")
    return dict(zip(names, weights, strict=True))


def walk(layer, path=""):
    """Yield (path, layer) for all layers inside a layer, those inside of layers too."""
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield path + child.name, child
        yield from walk(child, f"{path}{child.name}/")
