# ruff: noqa: E501  # a mutant is a line, with what stands in its place
"""Two more networks, and what is planted in them and in those of the zoo: each cause in three networks at least."""

from tests.pair.sources import FILL
from tests.pair.zoo import TORCH

SIGNAL_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((16, 2))
    x = L.Normalization(mean=[0.25, -0.5], variance=[1.5, 0.5], name="norm")(i)
    x = L.Conv1D(6, 4, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn1")(x)
    x = L.ReLU(name="act1")(x)
    x = L.Conv1D(6, 3, dilation_rate=2, padding="causal", activation="tanh", name="conv2")(x)
    x = L.Reshape((8, 3, 2), name="pairs")(x)
    x = L.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = L.Reshape((8, 6), name="back")(x)
    x = L.UpSampling1D(2, name="big")(x)
    x = L.Conv1D(4, 3, name="conv3")(x)
    x = L.GlobalAveragePooling1D(name="mean")(x)
    return fill(keras.Model(i, L.Dense(2, name="fc")(x)), 9)
"""
)
SIGNAL_TORCH = (
    TORCH
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.25, -0.5]).reshape(1, -1, 1))
        self.register_buffer("variance", torch.tensor([1.5, 0.5]).reshape(1, -1, 1))
        self.conv1, self.bn1 = nn.Conv1d(2, 6, 4, 2, 1, bias=False), nn.BatchNorm1d(6, eps=1e-3)
        self.conv2, self.dw = nn.Conv1d(6, 6, 3, dilation=2), nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.conv3, self.fc = nn.Conv1d(6, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        x = (x - self.mean) / self.variance.sqrt()
        x = F.relu(self.bn1(self.conv1(x)))
        x = torch.tanh(self.conv2(F.pad(x, (4, 0))))
        t = x.shape[2]
        x = self.dw(x.transpose(1, 2).reshape(-1, t, 3, 2).permute(0, 3, 1, 2))
        x = x.permute(0, 2, 3, 1).reshape(-1, t, 6).transpose(1, 2)
        x = F.interpolate(x, scale_factor=2)
        return self.fc(self.conv3(x).mean(2))


def build():
    return Net()
"""
)

RESIDUAL_KERAS = (
    FILL
    + """

def conv(x, n, size, name, **options):
    x = L.Conv2D(n, size, padding="valid" if size == 1 else "same", use_bias=False, name=name, **options)(x)
    return L.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)


def build():
    i = keras.Input((12, 12, 3))
    x = L.Rescaling(1 / 128, offset=-1.0, name="scaled")(i)
    x = L.ReLU(name="relu0")(conv(x, 8, 3, "stem"))
    y = L.ReLU(name="relu1")(conv(x, 4, 1, "a", strides=2))
    y = L.ReLU(name="relu2")(conv(y, 4, 3, "b", dilation_rate=2))
    y = L.Rescaling(0.5, name="half")(conv(y, 8, 1, "c"))
    x = L.Add(name="sum")([conv(x, 8, 1, "short", strides=2), y])
    x = L.Lambda(lambda t: keras.ops.depth_to_space(t, 2), name="d2s")(L.ReLU(name="relu3")(x))
    x = L.Conv2D(4, 3, name="mix")(x)
    x = L.UpSampling2D(2, interpolation="bilinear", name="big")(x)
    x = L.Conv2D(4, 3, name="last")(x)
    x = L.GlobalAveragePooling2D(name="mean")(x)
    return fill(keras.Model(i, L.Dense(3, name="fc")(x)), 10)
"""
)
RESIDUAL_TORCH = (
    TORCH
    + """
def conv(i, n, size, stride=1, dilation=1):
    return nn.Sequential(nn.Conv2d(i, n, size, stride, dilation * (size // 2), dilation, bias=False), nn.BatchNorm2d(n, eps=1e-3))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.short = conv(3, 8, 3), conv(8, 8, 1, 2)
        self.a, self.b, self.c = conv(8, 4, 1, 2), conv(4, 4, 3, dilation=2), conv(4, 8, 1)
        self.mix, self.last, self.fc = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        x = x / 128 - 1
        x = F.relu(self.stem(x))
        x = self.short(x) + self.c(F.relu(self.b(F.relu(self.a(x))))) * 0.5
        x = F.relu(x).unflatten(1, (2, 2, 2)).permute(0, 3, 1, 2, 4, 5).flatten(1, 3)
        x = self.mix(F.pixel_shuffle(x, 2))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.fc(self.last(x).mean((2, 3)))


def build():
    return Net()
"""
)
SIGNAL, RESIDUAL = (SIGNAL_KERAS, SIGNAL_TORCH), (RESIDUAL_KERAS, RESIDUAL_TORCH)

ENDS = {
    "mixer": ('return fill(keras.Model(i, L.Dense(3, name="fc")(x)), 1)', "torch.manual_seed(2)\n    return Net()"),
    "recurrent": (
        'return fill(keras.Model(i, L.Dense(1, activation="sigmoid", name="out")(x)), 2)',
        "torch.manual_seed(3)\n    return Net()",
    ),
}  # fmt: skip


def trained(network, keras, torch):
    """The two changes that give both models an optimizer of their own."""
    ours, theirs = ENDS[network]
    model = ours.removeprefix("return ")
    return (
        (ours, f"return {model}, keras.optimizers.{keras}"),
        (theirs, f"m = Net()\n    return m, torch.optim.{torch}"),
    )


# a layer that is used twice in Keras, and two of them in PyTorch
TWICE = {
    "residual": (
        ('x = L.Conv2D(4, 3, name="last")(x)', 'c = L.Conv2D(4, 3, name="last")\n    x = c(c(x))'),
        ("nn.Conv2d(4, 4, 3), nn.Linear", "nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)), nn.Linear"),
    ),
    "recurrent": (
        ('L.LSTM(6, name="lstm")(x)', 'L.LSTM(6, name="lstm")(x)\n    d = L.Dense(6, activation="tanh", name="again")\n    x = d(d(x))'),
        ("nn.Linear(6, 1)", "nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))"),
    ),
}  # fmt: skip


# name, network, what stands there, what takes its place, cause, layer
PLANTED = [
    ("epsilon of groups", "unet", "nn.GroupNorm(4, 8)", "nn.GroupNorm(4, 8, eps=1e-3)", "epsilon", "gn1"),
    ("decay of volumes", "volume", "nn.BatchNorm3d(4, eps=1e-3)", "nn.BatchNorm3d(4, 1e-3, 0.01)", "decay", "bn"),
    ("decay of a signal", "signal", "nn.BatchNorm1d(6, eps=1e-3)", "nn.BatchNorm1d(6, 1e-3, 0.9)", "decay", "bn1"),
    ("volumes without statistics", "volume", "nn.BatchNorm3d(4, eps=1e-3)", "nn.BatchNorm3d(4, 1e-3, track_running_stats=False)", "variance-rule", "bn"),
    (
        "a signal's mean and variance exchanged", "signal", "self.bn1(self.conv1(x))",
        "F.batch_norm(self.conv1(x), self.bn1.running_var, self.bn1.running_mean, self.bn1.weight, self.bn1.bias, self.training, 0.1, 1e-3)",
        "swapped-statistics", "bn1",
    ),
    ("zeros before a step down", "unet", "F.pad(a, (0, 1, 0, 1))", "F.pad(a, (1, 0, 1, 0))", "padding", "down"),
    ("no causal padding", "two", "F.pad(x, (2, 0))", "F.pad(x, (1, 1))", "padding", "conv"),
    ("a stride of one in a signal", "signal", "nn.Conv1d(2, 6, 4, 2, 1, bias=False)", "nn.Conv1d(2, 6, 4, 1, 1, bias=False)", "stride", "conv1"),
    ("a stride in the second convolution", "residual", "self.c = conv(8, 4, 1, 2), conv(4, 4, 3, dilation=2)", "self.c = conv(8, 4, 1), conv(4, 4, 3, 2, 2)", "stride", "a"),
    ("a stride of one in volumes", "volume", "nn.ConvTranspose3d(4, 3, 2, 2)", "nn.ConvTranspose3d(4, 3, 2, 1)", "stride", "up"),
    ("no dilation in a signal", "signal", "dilation=2), nn.Conv2d", "dilation=1), nn.Conv2d", "dilation", "conv2"),
    ("no dilation in a block", "residual", "conv(4, 4, 3, dilation=2)", "conv(4, 4, 3)", "dilation", "b"),
    ("a transposed kernel turned round", "unet", "self.up(b)[", "F.conv_transpose2d(b, self.up.weight.flip(2, 3), self.up.bias, 2)[", "kernel-layout", "up"),
    ("tokens in the other order", "vision", ".flatten(2).transpose(1, 2)", ".transpose(2, 3).flatten(2).transpose(1, 2)", "flatten-order", "tokens"),
    ("pairs of steps for pairs of channels", "signal", "x.transpose(1, 2).reshape(-1, t, 3, 2)", "x.transpose(1, 2).reshape(-1, t, 2, 3).transpose(2, 3)", "flatten-order", "pairs"),
    ("pixels shuffled as PyTorch does", "residual", ".unflatten(1, (2, 2, 2)).permute(0, 3, 1, 2, 4, 5).flatten(1, 3)", "", "flatten-order", "d2s"),
    ("gates exchanged in a cell", "cells", "i, f, g, o = (", "f, i, g, o = (", "gate-order", "lstm"),
    (
        "gates exchanged in both directions", "two", "self.gru(x)[0]",
        "torch.gru(x, x.new_zeros(2, x.shape[1], 4), [torch.cat([w.chunk(3)[n] for n in (1, 0, 2)]) for w in"
        " self.gru._flat_weights], True, 1, 0.0, False, True, False)[0]", "gate-order", "both",
    ),
    ("reset in a cell before the product", "cells", "torch.tanh(a[2] + r * b[2])", "torch.tanh(a[2] + F.linear(r * h, self.h2h.weight.chunk(3)[2], self.h2h.bias.chunk(3)[2]))", "reset-after", "gru"),
    ("reset in both directions before the product", "two", "L.GRU(4, return", "L.GRU(4, reset_after=False, return", "reset-after", "both"),
    ("mean for maximum in a signal", "two", "F.max_pool1d", "F.avg_pool1d", "pooling", "pool"),
    ("aligned corners", "unet", "align_corners=False", "align_corners=True", "resize", "big"),
    ("aligned corners in a block", "residual", "align_corners=False", "align_corners=True", "resize", "big"),
    ("steps between two", "signal", "F.interpolate(x, scale_factor=2)", 'F.interpolate(x, scale_factor=2, mode="linear")', "resize", "big"),
    ("batch for steps", "encoder", "batch_first=True", "batch_first=False", "axis", "mha"),
    ("another factor", "two", "self.lin2(y) * 0.3", "self.lin2(y) * 0.5", "scale", "block1"),
    ("a branch not halved", "residual", "self.a(x))))) * 0.5", "self.a(x)))))", "scale", "half"),
    ("not standardised", "signal", "x = (x - self.mean) / self.variance.sqrt()", "pass", "input-scale", "norm"),
    ("rescaled by 255", "residual", "x / 128 - 1", "x / 127.5 - 1", "input-scale", "scaled"),
    ("one normalisation more", "mixer", "self.norm(x).mean(1)", "F.layer_norm(self.norm(x), (8,)).mean(1)", "extra-layer", "mean"),
    ("one activation more", "recurrent", "x = self.gru(x)[0]", "x = nn.functional.layer_norm(self.gru(x)[0], (4,))", "extra-layer", "lstm"),
    ("no bias of a product", "mixer", "self.up = nn.Linear(8, 16)", "self.up = nn.Linear(8, 16, bias=False)", "bias", "up1"),
    ("no bias at the end", "recurrent", "nn.Linear(6, 1)", "nn.Linear(6, 1, bias=False)", "bias", "out"),
    ("two convolutions for one", "residual", *TWICE["residual"], "sharing", "last"),
    ("two products for one", "recurrent", *TWICE["recurrent"], "sharing", "again"),
    ("dropout behind words", "mixer", "x = self.words(x)", "x = F.dropout(self.words(x), 0.1, self.training)", "dropout-rate", "words"),
    ("dropout before the end", "recurrent", "self.out(self.lstm(x)[0][:, -1])", "self.out(nn.functional.dropout(self.lstm(x)[0][:, -1], 0.2, self.training))", "dropout-rate", "lstm"),
    ("L2 of one product", "mixer", 'activation="gelu", name', 'activation="gelu", kernel_regularizer=keras.regularizers.L2(1e-3), name', "weight-decay", "up1"),
    ("L2 at the end", "recurrent", 'activation="sigmoid", name="out"', 'activation="sigmoid", bias_regularizer=keras.regularizers.L2(1e-3), name="out"', "weight-decay", "out"),
    ("other betas", "mixer", *trained("mixer", "Adam(1e-3, beta_2=0.98)", "Adam(m.parameters(), 1e-3, eps=1e-7)"), "optimizer", ""),
    ("another beginning of Adagrad", "recurrent", *trained("recurrent", "Adagrad(1e-2)", "Adagrad(m.parameters(), 1e-2, eps=1e-7)"), "optimizer", ""),
]  # fmt: skip
