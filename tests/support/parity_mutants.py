"""The PyTorch side of a parity check with one mistake in it, each as a person porting a model makes it.

`DISGUISED` ones lie about their configuration, so that a later stage has to find them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from compare.parity.check import Check
from compare.parity.model import Model
from torch_impl import layers, optimizers


def mutate(model, name):
    """Have the model make a mistake from its next start on; None for none."""
    model.mutation = name


class Mutant(Model):
    mutation = None

    def start(self, check, weights):
        super().start(LABELLED.get(self.mutation, type(check))(**vars(check)), weights)
        if self.mutation in MODELS:
            MODELS[self.mutation](self.model)

    def make_optimizer(self):
        make = {"adam epsilon": _textbook_adam, "disguised adam epsilon": _Corrected}.get(self.mutation)
        if make is None:
            return super().make_optimizer()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return make(trained, lr=self.check.learning_rate, eps=1e-7)

    def set_state(self, arrays):
        super().set_state(ARRAYS[self.mutation](dict(arrays)) if self.mutation in ARRAYS else arrays)

    def images(self):
        images = super().images()
        return images[..., ::-1].copy() if self.mutation == "channel order" else images


def _textbook_adam(parameters, lr, eps):
    return torch.optim.Adam(parameters, lr=lr, eps=eps)


class _Corrected(optimizers.KerasAdam):
    """Epsilon after the bias correction, under the name of one that adds it before."""

    def update(self, parameter, gradient, state, group):
        beta1, beta2 = group["betas"]
        m, v = state["momentum"], state["velocity"]
        m += (gradient - m) * (1 - beta1)
        v += (gradient.square() - v) * (1 - beta2)
        root = (v / (1 - beta2 ** state["step"])).sqrt() + group["eps"]
        parameter -= group["lr"] / (1 - beta1 ** state["step"]) * m / root


class _OtherOrder(Check):
    """Classes numbered from the last to the first."""

    def labels(self):
        return super().labels()[:, ::-1].copy()


class _Shifted(nn.Conv2d):
    """One zero more at the end than at the start, as Keras's ``same`` pads at stride 2."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (2, 3, 2, 3)), self.weight, self.bias, self.stride)


class _Unbiased(layers.BatchNorm):
    def forward(self, x):
        self.variance = "unbiased"
        try:
            return super().forward(x)
        finally:
            self.variance = "biased"


class _Stale(layers.BatchNorm):
    def forward(self, x):
        kept = self.running_mean.clone()
        y = super().forward(x)
        self.running_mean.copy_(kept)
        return y


def _epsilon(model):
    model.backbone.conv3_block2.bn1.eps = 1e-5


def _decay(model):
    model.backbone.conv4_block1.bn0.momentum = 0.1


def _stride(model):
    block = model.backbone.conv3_block1
    block.conv1.stride, block.conv2.stride = (1, 1), (2, 2)


def _padding(model):
    model.backbone.pool1_pool.padding = 0


def _variance(model):
    model.backbone.conv5_block2.bn2.variance = "unbiased"


def _disguised_padding(model):
    model.backbone.conv1_conv.__class__ = _Shifted


def _disguised_variance(model):
    model.backbone.conv5_block2.bn2.__class__ = _Unbiased


def _disguised_stale(model):
    model.backbone.conv4_block2.bn1.__class__ = _Stale


def _disguised_activation(model):
    model.backbone.conv2_block2.relu1.forward = lambda x: F.leaky_relu(x, 0.01)


def _softmax(model):
    model.head.head_softmax.dim = 0


def _transposed(arrays):
    name = "weights/conv3_block1_2_conv/kernel"
    arrays[name] = arrays[name].transpose(1, 0, 2, 3)
    return arrays


def _swapped(arrays):
    gamma, beta = (f"weights/conv4_block3_2_bn/{kind}" for kind in ("gamma", "beta"))
    arrays[gamma], arrays[beta] = arrays[beta], arrays[gamma]
    return arrays


def _stale(arrays):
    name = "weights/conv4_block2_1_bn/moving_mean"
    arrays[name] = 0 * arrays[name]
    return arrays


MODELS = {
    "epsilon": _epsilon,
    "decay": _decay,
    "stride place": _stride,
    "padding": _padding,
    "running variance": _variance,
    "disguised padding": _disguised_padding,
    "disguised running variance": _disguised_variance,
    "disguised stale statistics": _disguised_stale,
    "disguised activation": _disguised_activation,
    "softmax over the batch": _softmax,
}
ARRAYS = {"transpose": _transposed, "gamma and beta": _swapped, "stale statistics": _stale}
LABELLED = {"classes in another order": _OtherOrder}

# mutation -> the stage and the place that must be named
FOUND = {
    "epsilon": ("configuration", "conv3_block2_1_bn"),
    "decay": ("configuration", "conv4_block1_0_bn"),
    "stride place": ("configuration", "conv3_block1_1_conv"),
    "padding": ("configuration", "pool1_pool"),
    "running variance": ("configuration", "conv5_block2_2_bn"),
    "adam epsilon": ("configuration", "optimizer"),
    "channel order": ("preprocessing", "images"),
    "transpose": ("forward", "conv3_block1_2_conv"),
    "gamma and beta": ("forward", "conv4_block3_2_bn"),
    "stale statistics": ("forward", "conv4_block2_1_bn"),
    "disguised padding": ("forward", "conv1_conv"),
    "disguised activation": ("forward", "conv2_block2_1_relu"),
    "disguised running variance": ("statistics", "conv5_block2_2_bn/moving_variance"),
    "disguised stale statistics": ("statistics", "conv4_block2_1_bn/moving_mean"),
    "disguised adam epsilon": ("parameters", "head_dense_1/bias"),
}

# of a head that tells more than two classes apart
FOUND_OF_CLASSES = {
    "softmax over the batch": ("forward", "head_output"),
    "classes in another order": ("loss", "loss"),
}
