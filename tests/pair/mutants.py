# ruff: noqa: E501  # a mutant is a line, with what stands in its place
"""Mistakes, each planted alone in a right port: what is changed, and what must be found where."""

from dataclasses import dataclass

from tests.pair import sources
from tests.pair.planted import PLANTED, RESIDUAL, SIGNAL
from tests.pair.zoo import ZOO

NETWORKS = {
    "cnn": (sources.CNN_KERAS, sources.CNN_TORCH),
    "mixer": (sources.MIXER_KERAS, sources.MIXER_TORCH),
    "recurrent": (sources.RECURRENT_KERAS, sources.RECURRENT_TORCH),
    "vision": ZOO["vision transformer"], "unet": ZOO["u-net"], "two": ZOO["two inputs, two outputs"],
    "encoder": ZOO["encoder layer"], "volume": ZOO["volumes"], "cells": ZOO["cells written out"],
    "signal": SIGNAL, "residual": RESIDUAL,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A change of one line or two.

    Attributes:
        network: one of `NETWORKS`.
        changes: what stands there, and what takes its place; in either of the two sources.
        cause, layer: what must be found; several where evidence can't tell them apart.
    """

    name: str
    network: str
    changes: tuple[tuple[str, str], ...]
    cause: str
    layer: str

    def pair(self):
        """Both sources with the change."""
        keras, torch = NETWORKS[self.network]
        for old, new in self.changes:
            assert (old in keras) != (old in torch), f"{self.name}: {old!r} must stand in one of the two"
            keras, torch = keras.replace(old, new), torch.replace(old, new)
        return keras, torch


def mutant(name, network, old, new, cause, layer):
    """A mutant of one change."""
    return Mutant(name, network, ((old, new),), cause, layer)


BN2 = "self.bn2(self.dw(x))"
NORM1 = "y = self.norm1(x)"
MUTANTS = [
    mutant("epsilon of one BN", "cnn", "self.bn2 = nn.BatchNorm2d(8, eps=1e-3)", "self.bn2 = nn.BatchNorm2d(8)", "epsilon", "bn2"),
    mutant("decay", "cnn", "self.bn1 = nn.BatchNorm2d(8, eps=1e-3)", "self.bn1 = nn.BatchNorm2d(8, 1e-3, 0.01)", "decay", "bn1"),
    mutant(
        "mean and variance exchanged", "cnn", BN2,
        "F.batch_norm(self.dw(x), self.bn2.running_var, self.bn2.running_mean, self.bn2.weight, self.bn2.bias,"
        " self.training, 0.1, 1e-3)", "swapped-statistics", "bn2",
    ),
    mutant(
        "gamma and beta exchanged", "mixer", NORM1, "y = F.layer_norm(x, (8,), self.norm1.bias, self.norm1.weight, 1e-6)",
        "swapped-statistics", "ln1a",
    ),
    mutant("zeros on the other side", "cnn", "F.pad(x, (0, 1, 0, 1))", "F.pad(x, (1, 0, 1, 0))", "padding", "conv1"),
    mutant("zeros on both sides", "cnn", "nn.Conv2d(3, 8, 3, 2, bias=False)", "nn.Conv2d(3, 8, 3, 2, padding=1, bias=False)", "padding", "conv1"),
    mutant("no dilation", "cnn", "padding=2, dilation=2", "padding=1", "dilation", "conv2"),
    mutant(
        "kernel with height and width exchanged", "cnn", "self.conv2(x)",
        "F.conv2d(x, self.conv2.weight.transpose(2, 3), self.conv2.bias, padding=2, dilation=2)", "kernel-layout", "conv2",
    ),
    mutant("kernel transposed", "mixer", "self.out((shares @ v).transpose(1, 2).flatten(2))",
           "F.linear((shares @ v).transpose(1, 2).flatten(2), self.out.weight.T, self.out.bias)", "kernel-layout", "mha1"),
    mutant("relu for silu", "cnn", "F.silu(self.bn2", "F.relu(self.bn2", "activation", "act2"),
    mutant("silu twice", "cnn", "F.silu(self.bn2(self.dw(x)))", "F.silu(F.silu(self.bn2(self.dw(x))))", "activation", "act2"),
    mutant("relu missing", "cnn", "F.relu(self.conv2(x))", "self.conv2(x)", "activation", "conv2"),
    mutant("relu missing before a sum", "cnn", "(0, 1, 0, 1)))).relu()", "(0, 1, 0, 1))))", "activation", "act1"),
    mutant("leaky slope", "cnn", "F.relu(self.conv2(x))", "F.leaky_relu(self.conv2(x), 0.01)", "activation", "conv2"),
    mutant("gelu approximate", "mixer", "F.gelu(self.up(self.norm2(x)))", "F.gelu(self.up(self.norm2(x)), approximate='tanh')", "activation", "up1"),
    mutant("max pooling bordered with zeros", "cnn", ', value=float("-inf"))', ")", "pooling", "pool"),
    mutant("max for mean", "cnn", "F.avg_pool2d(F.relu", "F.max_pool2d(F.relu", "pooling", "mean"),
    mutant("the first for the mean", "mixer", "self.norm(x).mean(1)", "self.norm(x)[:, 0]", "pooling", "mean"),
    mutant("maximum for the mean", "mixer", "self.norm(x).mean(1)", "self.norm(x).amax(1)", "pooling", "mean"),
    mutant("another axis of a softmax", "mixer", "/ 2.0).softmax(-1)", "/ 2.0).softmax(-2)", "axis", "mha1"),
    mutant("another scale of attention", "mixer", "/ 2.0).softmax", "/ 8**0.5).softmax", "scale", "mha1"),
    mutant("no scale of attention", "mixer", "((q @ k.transpose(-1, -2)) / 2.0)", "(q @ k.transpose(-1, -2))", "scale", "mha1"),
    mutant("scale of an embedding", "mixer", "x = self.words(x)", "x = self.words(x) * 8**0.5", "scale", "words"),
    mutant("no offset", "cnn", "x = x / 2 - 0.25", "x = x / 2", "input-scale", "scaled"),
    mutant("no rescaling", "cnn", "        x = x / 2 - 0.25\n", "", "input-scale", "scaled"),
    mutant("channels in the other order", "cnn", "x = x / 2 - 0.25", "x = x.flip(1) / 2 - 0.25", "input-scale", "scaled"),
    mutant("no BN", "cnn", BN2, "self.dw(x)", "missing-layer", "bn2"),
    mutant("no LN", "mixer", "self.fc(self.norm(x).mean(1))", "self.fc(x.mean(1))", "missing-layer", "last"),
    mutant("no shortcut", "mixer", "x = x + self.out(", "x = self.out(", "missing-layer", "add1a"),
    mutant("one BN more", "cnn", "self.drop = nn.Dropout(0.3)", "self.drop = nn.Sequential(nn.BatchNorm1d(48), nn.Dropout(0.3))", "extra-layer", "fc"),
    mutant("a bias missing", "cnn", "self.pw = nn.Conv2d(8, 8, 1)", "self.pw = nn.Conv2d(8, 8, 1, bias=False)", "bias", "pw"),
    mutant("a bias more", "cnn", "L.Conv2D(8, 1, name", "L.Conv2D(8, 1, use_bias=False, name", "bias", "pw"),
    mutant("a gamma more", "cnn", 'epsilon=1e-3, name="bn2"', 'epsilon=1e-3, scale=False, name="bn2"', "extra-parameter", "bn2"),
    mutant("a second bias that learns", "recurrent", "one_bias(nn.LSTM(4, 6, batch_first=True))", "nn.LSTM(4, 6, batch_first=True)", "extra-parameter", "lstm"),
    mutant("rate of dropout", "cnn", "nn.Dropout(0.3)", "nn.Dropout(0.5)", "dropout-rate", "drop"),
    mutant("no dropout", "cnn", "self.fc(self.drop(x.flatten(1)))", "self.fc(x.flatten(1))", "dropout-rate", "drop"),
    mutant(
        "variance divided by n - 1", "mixer", NORM1,
        "y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-6) * self.norm1.weight + self.norm1.bias",
        "variance-rule", "ln1a",
    ),
    mutant(
        "epsilon outside the root", "mixer", NORM1,
        "y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-3) * self.norm1.weight + self.norm1.bias",
        "epsilon", "ln1a",
    ),
    mutant("reset before the product", "recurrent", "L.GRU(4,", "L.GRU(4, reset_after=False,", "reset-after", "gru"),
    mutant("another activation of an LSTM", "recurrent", "L.LSTM(6,", 'L.LSTM(6, activation="relu",', "activation", "lstm"),
    mutant("hard sigmoid in an LSTM", "recurrent", "L.LSTM(6,", 'L.LSTM(6, recurrent_activation="hard_sigmoid",', "activation", "lstm"),
    mutant(
        "gates in another order", "recurrent", "self.lstm(x)[0]",
        "torch.lstm(x, (x.new_zeros(1, len(x), 6),) * 2, [torch.cat([w.chunk(4)[n] for n in (0, 2, 1, 3)]) for w in"
        " self.lstm._flat_weights], True, 1, 0.0, False, False, True)[0]", "gate-order", "lstm",
    ),
    mutant("a causal mask in one block", "mixer", "(y, y)", "(y, y, use_causal_mask=n == 2)", "missing-layer", "mha2"),
    mutant("padding that isn't looked at", "mixer", "L.Embedding(20, 8, name", "L.Embedding(20, 8, mask_zero=True, name", "missing-layer", "mha1"),
    mutant("padding that isn't read", "recurrent", "L.Embedding(30, 6, name", "L.Embedding(30, 6, mask_zero=True, name", "missing-layer", "both"),
    mutant("a branch that is scaled", "mixer", "x = x + self.out(", "x = x + 0.5 * self.out(", "scale", "mha1"),
    mutant("other heads", "mixer", "x.unflatten(-1, (2, 4))", "x.unflatten(-1, (4, 2))", "unknown", "mha1"),
    mutant("batch and steps exchanged", "recurrent", "nn.GRU(10, 4, batch_first=True)", "nn.GRU(10, 4)", "axis", "gru"),
    mutant("a row that never trains", "mixer", "nn.Embedding(20, 8)", "nn.Embedding(20, 8, padding_idx=0)", "extra-parameter", "words"),
    mutant("a gradient that ends", "mixer", "x = self.words(x)", "x = self.words(x).detach()", "extra-parameter", "words"),
    mutant("a BN left in evaluation", "cnn", "x = x + self.pw(", "self.bn2.eval(); x = x + self.pw(", "variance-rule", "bn2"),
    mutant("L2 in Keras alone", "cnn", 'name="pw")', 'kernel_regularizer=keras.regularizers.L2(1e-3), name="pw")', "weight-decay", "pw"),
    Mutant(
        "another optimizer", "cnn",
        (('    return fill(keras.Model(i, L.Dense(5, activation="softmax", name="fc")(x)))',
          '    m = fill(keras.Model(i, L.Dense(5, activation="softmax", name="fc")(x)))\n    return m, keras.optimizers.SGD(0.1, momentum=0.9)'),
         ("    return Net()", "    m = Net()\n    return m, torch.optim.SGD(m.parameters(), 0.1)")),
        "optimizer", "",
    ),
    Mutant(
        "another weight decay", "cnn",
        (('    return fill(keras.Model(i, L.Dense(5, activation="softmax", name="fc")(x)))',
          '    m = fill(keras.Model(i, L.Dense(5, activation="softmax", name="fc")(x)))\n    return m, keras.optimizers.AdamW(1e-3, weight_decay=0.004)'),
         ("    return Net()", "    m = Net()\n    return m, torch.optim.AdamW(m.parameters(), 1e-3, eps=1e-7)")),
        "weight-decay", "conv1",
    ),
    Mutant(
        "two layers for one", "mixer",
        (('return fill(keras.Model(i, L.Dense(3, name="fc")(x)), 1)',
          'd = L.Dense(8, activation="relu", name="twice")\n    return fill(keras.Model(i, L.Dense(3, name="fc")(d(d(x)))), 1)'),
         ("self.fc = nn.Linear(8, 3)", "self.fc = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))")),
        "sharing", "twice",
    ),
]  # fmt: skip
for name, network, old, new, cause, layer in PLANTED:
    changes = (old, new) if isinstance(old, tuple) else ((old, new),)
    MUTANTS.append(Mutant(name, network, changes, cause, layer))
HARMLESS = [
    mutant("a bias before batch statistics", "cnn", "nn.Conv2d(3, 8, 3, 2, bias=False)", "nn.Conv2d(3, 8, 3, 2)", "", ""),
    mutant("a module that is never called", "cnn", "self.drop = nn.Dropout(0.3)", "self.drop = nn.Dropout(0.3)\n        self.old = nn.Linear(48, 5)", "", ""),
    mutant("a dropout of rate zero", "cnn", "x = F.avg_pool2d(", "x = F.dropout(x, 0.0, self.training)\n        x = F.avg_pool2d(", "", ""),
]  # fmt: skip
