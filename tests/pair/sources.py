"""Networks in both frameworks, as text, for one line of the port to be changed."""

FILL = """
import numpy as np
import keras
from keras import layers as L


def fill(model, seed=0):
    r = np.random.default_rng(seed)
    for v in model.weights:
        if "int" in str(v.dtype):
            continue
        shape = tuple(v.shape)
        if v.name in ("gamma", "scale", "moving_variance"):
            v.assign(r.uniform(0.6, 1.4, shape))
        elif v.name in ("bias", "beta", "moving_mean"):
            v.assign(r.normal(0, 0.15, shape))
        else:
            v.assign(r.normal(0, 1.2 / np.sqrt(np.prod(shape[:-1])), shape))
    return model
"""

CNN_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((16, 16, 3))
    x = L.Rescaling(1 / 2, offset=-0.25, name="scaled")(i)
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn1")(x)
    x = L.ReLU(name="act1")(x)
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw")(x)
    y = L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn2")(y)
    y = L.Activation("silu", name="act2")(y)
    y = L.Conv2D(8, 1, name="pw")(y)
    x = L.Add(name="sum")([x, y])
    x = L.MaxPooling2D(3, strides=2, padding="same", name="pool")(x)
    x = L.Conv2D(12, 3, dilation_rate=2, padding="same", activation="relu", name="conv2")(x)
    x = L.AveragePooling2D(2, name="mean")(x)
    x = L.Flatten(name="flat")(x)
    x = L.Dropout(0.3, name="drop")(x)
    return fill(keras.Model(i, L.Dense(5, activation="softmax", name="fc")(x)))
"""
)

CNN_TORCH = """
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(8, eps=1e-3)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.bn2 = nn.BatchNorm2d(8, eps=1e-3)
        self.pw = nn.Conv2d(8, 8, 1)
        self.conv2 = nn.Conv2d(8, 12, 3, padding=2, dilation=2)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(48, 5)

    def forward(self, x):
        x = x / 2 - 0.25
        x = self.bn1(self.conv1(F.pad(x, (0, 1, 0, 1)))).relu()
        x = x + self.pw(F.silu(self.bn2(self.dw(x))))
        x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


def build():
    torch.manual_seed(1)
    return Net()
"""

MIXER_KERAS = (
    FILL
    + """

def block(x, n):
    y = L.LayerNormalization(epsilon=1e-6, name=f"ln{n}a")(x)
    y = L.MultiHeadAttention(2, 4, name=f"mha{n}")(y, y)
    x = L.Add(name=f"add{n}a")([x, y])
    y = L.LayerNormalization(epsilon=1e-6, name=f"ln{n}b")(x)
    y = L.Dense(16, activation="gelu", name=f"up{n}")(y)
    return L.Add(name=f"add{n}b")([x, L.Dense(8, name=f"down{n}")(y)])


def build():
    i = keras.Input((6,), dtype="int32")
    x = L.Embedding(20, 8, name="words")(i)
    x = block(block(x, 1), 2)
    x = L.LayerNormalization(epsilon=1e-6, name="last")(x)
    x = L.GlobalAveragePooling1D(name="mean")(x)
    return fill(keras.Model(i, L.Dense(3, name="fc")(x)), 1)
"""
)

MIXER_TORCH = """
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(8, eps=1e-6)
        self.q = nn.Linear(8, 8)
        self.k = nn.Linear(8, 8)
        self.v = nn.Linear(8, 8)
        self.out = nn.Linear(8, 8)
        self.norm2 = nn.LayerNorm(8, eps=1e-6)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)

    def heads(self, x):
        return x.unflatten(-1, (2, 4)).transpose(1, 2)

    def forward(self, x):
        y = self.norm1(x)
        q, k, v = self.heads(self.q(y)), self.heads(self.k(y)), self.heads(self.v(y))
        shares = ((q @ k.transpose(-1, -2)) / 2.0).softmax(-1)
        x = x + self.out((shares @ v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.words(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x).mean(1))


def build():
    torch.manual_seed(2)
    return Net()
"""

RECURRENT_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((7,), dtype="int32")
    x = L.Embedding(30, 6, name="words")(i)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")(x)
    x = L.GRU(4, return_sequences=True, name="gru")(x)
    x = L.LSTM(6, name="lstm")(x)
    return fill(keras.Model(i, L.Dense(1, activation="sigmoid", name="out")(x)), 2)
"""
)

RECURRENT_TORCH = """
import torch
from torch import nn


def one_bias(rnn):
    for name, p in rnn.named_parameters():
        if "bias_hh" in name:
            nn.init.zeros_(p).requires_grad_(False)
    return rnn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 6)
        self.both = one_bias(nn.LSTM(6, 5, batch_first=True, bidirectional=True))
        self.gru = nn.GRU(10, 4, batch_first=True)
        self.lstm = one_bias(nn.LSTM(4, 6, batch_first=True))
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        x = self.both(self.words(x))[0]
        x = self.gru(x)[0]
        return self.out(self.lstm(x)[0][:, -1])


def build():
    torch.manual_seed(3)
    return Net()
"""
