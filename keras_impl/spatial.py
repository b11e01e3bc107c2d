"""Layers that know a place: convolution, pooling, padding, resizing, in neutral words."""

from keras import layers as L

_CONVOLUTIONS = {
    (L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose): "conv_transpose",
    (L.SeparableConv1D, L.SeparableConv2D): "separable_conv",
    (L.DepthwiseConv1D, L.DepthwiseConv2D): "depthwise_conv",
    (L.Conv1D, L.Conv2D, L.Conv3D): "conv",
}
_MEANS = (L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D)
_MAXIMA = (L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D)
_MEANS_OF_ALL = (L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D)
_MAXIMA_OF_ALL = (L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D)


def describe(layer, shape, output):
    """Say what a layer does, if it is one of these.

    Args:
        shape: of what goes in.
        output: shape of what comes out.

    Returns:
        Its kind and its facts, or None.
    """
    found = _convolution(layer, shape, output)
    for special in (_pooling, _padding, _resizing):
        found = found or special(layer, shape)
    return found


def _convolution(layer, shape, output):
    kind = next((name for classes, name in _CONVOLUTIONS.items() if isinstance(layer, classes)), None)
    if kind is None:
        return None
    facts = {
        "rank": layer.rank,
        "kernel": list(layer.kernel_size),
        "stride": list(layer.strides),
        "dilation": list(layer.dilation_rate),
        "groups": getattr(layer, "groups", 1),
        "padding": layer.padding,
        "bias": bool(layer.use_bias),
        "multiplier": getattr(layer, "depth_multiplier", 1),
        "output_padding": getattr(layer, "output_padding", None),
    }
    if kind == "depthwise_conv" and shape:
        facts["groups"] = shape[-1]
    if shape:
        sizes = shape[1:-1]
        facts["pads"] = [
            _zeros(*values, layer.padding)
            for values in zip(sizes, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
        ]
        if kind == "conv_transpose":
            reach = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
            measures = zip(sizes, reach, layer.strides, output[1:-1], strict=True)
            facts["crops"] = [_crop(*values, layer.padding) for values in measures]
    return kind, facts


def _zeros(size, kernel, stride, dilation, padding):
    """What is put before and after an axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == "causal":
        return [reach - 1, 0]
    if padding != "same":
        return [0, 0]
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return [total // 2, total - total // 2]


def _crop(size, reach, stride, length, padding):
    """Where the result starts in the whole transposed convolution, and how long it is."""
    total = max((size - 1) * stride + reach - length, 0)
    return [total // 2 if padding == "same" else 0, length]


def _pooling(layer, shape):
    if isinstance(layer, (*_MEANS_OF_ALL, *_MAXIMA_OF_ALL)):
        axes = list(range(1, len(shape) - 1))
        kind = "mean" if isinstance(layer, _MEANS_OF_ALL) else "amax"
        return kind, {"axes": axes, "keepdims": layer.keepdims, "global": True}
    if isinstance(layer, (*_MEANS, *_MAXIMA)):
        facts = {"rank": len(layer.pool_size), "window": list(layer.pool_size), "stride": list(layer.strides)}
        sides = [
            _zeros(size, window, stride, 1, layer.padding)
            for size, window, stride in zip(shape[1:-1], layer.pool_size, layer.strides, strict=False)
        ]
        kind = "max_pool" if isinstance(layer, _MAXIMA) else "mean_pool"
        return kind, {**facts, "padding": layer.padding, "pads": sides}
    return None


def _padding(layer, shape):
    name = type(layer).__name__
    if not name.startswith(("ZeroPadding", "Cropping")):
        return None
    key = "padding" if name.startswith("Zero") else "cropping"
    sides = getattr(layer, key)
    sides = [list(sides)] if isinstance(sides[0], int) else [list(pair) for pair in sides]
    return ("pad" if key == "padding" else "crop"), {"pads": sides}


def _resizing(layer, shape):
    if isinstance(layer, L.Resizing):
        return "resize", {"size": [layer.height, layer.width], "mode": layer.interpolation}
    if isinstance(layer, (L.UpSampling1D, L.UpSampling2D, L.UpSampling3D)):
        factor = [layer.size] if isinstance(layer.size, int) else list(layer.size)
        size = [int(s * f) for s, f in zip(shape[1:-1], factor, strict=False)]
        return "resize", {"size": size, "mode": getattr(layer, "interpolation", "nearest"), "factor": factor}
    return None
