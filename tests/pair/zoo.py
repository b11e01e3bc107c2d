"""Right ports of layers of every kind, each written as people write it."""

from tests.pair.sources import FILL

TORCH = """
import torch
import torch.nn.functional as F
from torch import nn

"""

VISION_KERAS = (
    FILL
    + """

class Token(L.Layer):
    def build(self, shape):
        self.cls = self.add_weight(shape=(1, 1, shape[-1]), name="cls")
        self.pos = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="pos")

    def call(self, x):
        cls = keras.ops.broadcast_to(self.cls, (keras.ops.shape(x)[0], 1, x.shape[-1]))
        return keras.ops.concatenate([cls, x], axis=1) + self.pos


def build():
    i = keras.Input((8, 8, 3))
    x = L.Conv2D(12, 4, strides=4, name="patch")(i)
    x = L.Reshape((4, 12), name="tokens")(x)
    x = Token(name="token")(x)
    for n in range(2):
        y = L.LayerNormalization(epsilon=1e-6, name=f"ln{n}a")(x)
        x = x + L.MultiHeadAttention(3, 4, name=f"mha{n}")(y, y)
        y = L.LayerNormalization(epsilon=1e-6, name=f"ln{n}b")(x)
        x = x + L.Dense(12, name=f"down{n}")(L.Dense(20, activation="gelu", name=f"up{n}")(y))
    x = L.LayerNormalization(epsilon=1e-6, name="last")(x)
    return fill(keras.Model(i, L.Dense(4, name="head")(x[:, 0])), 3)
"""
)

VISION_TORCH = (
    TORCH
    + """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(12, eps=1e-6), nn.LayerNorm(12, eps=1e-6)
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)
        self.mlp = nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 12))

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, 3, 4).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 12, 4, 4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 12))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 12))
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def build():
    return ViT()
"""
)

UNET_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((8, 8, 2))
    a = L.Conv2D(8, 3, padding="same", name="in1")(i)
    a = L.GroupNormalization(4, epsilon=1e-5, name="gn1")(a)
    a = L.LeakyReLU(negative_slope=0.1)(a)
    b = L.Conv2D(12, 3, strides=2, padding="same", name="down")(a)
    b = L.PReLU(shared_axes=[1, 2], name="prelu")(b)
    b = L.SeparableConv2D(12, 3, padding="same", name="sep")(b)
    c = L.Conv2DTranspose(8, 3, strides=2, padding="same", name="up")(b)
    d = L.UpSampling2D(2, interpolation="bilinear", name="big")(b)
    x = L.Concatenate(name="join")([a, c, d])
    x = L.Conv2D(8, 3, groups=2, padding="same", activation="elu", name="grouped")(x)
    return fill(keras.Model(i, L.Conv2D(3, 1, activation="softmax", name="classes")(x)), 4)
"""
)

UNET_TORCH = (
    TORCH
    + """
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.in1, self.gn1 = nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(4, 8)
        self.down, self.prelu = nn.Conv2d(8, 12, 3, 2), nn.PReLU(12)
        self.depth, self.point = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), nn.Conv2d(12, 12, 1)
        self.up = nn.ConvTranspose2d(12, 8, 3, 2)
        self.grouped, self.classes = nn.Conv2d(28, 8, 3, padding=1, groups=2), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = F.leaky_relu(self.gn1(self.in1(x)), 0.1)
        b = self.prelu(self.down(F.pad(a, (0, 1, 0, 1))))
        b = self.point(self.depth(b))
        c = self.up(b)[:, :, :8, :8]
        d = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        return self.classes(F.elu(self.grouped(torch.cat([a, c, d], 1))))


def build():
    return UNet()
"""
)

TWO_KERAS = (
    FILL
    + """

class Block(L.Layer):
    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.first, self.norm = L.Dense(n, name="first"), L.LayerNormalization(name="norm")
        self.second = L.Dense(n, name="second")

    def call(self, x):
        y = keras.ops.tanh(self.norm(self.first(x)))
        return y + self.second(y) * 0.3


def build():
    i, j = keras.Input((6, 5), name="sequence"), keras.Input((4,), name="facts")
    x = L.Conv1D(8, 3, padding="causal", activation="relu", name="conv")(i)
    x = L.MaxPooling1D(2, name="pool")(x)
    x = L.Bidirectional(L.GRU(4, return_sequences=True), name="both")(x)
    x = L.SimpleRNN(6, name="rnn")(x)
    inner = keras.Sequential([L.Dense(6, activation="selu", name="d"), L.Dense(6, name="e")], name="inner")
    x = L.Concatenate()([x, inner(j)])
    x = Block(8, name="block1")(x)
    x = Block(8, name="block2")(x)
    return fill(keras.Model([i, j], [L.Dense(2, name="a")(x), L.Dense(1, activation="sigmoid", name="b")(x)]), 5)
"""
)

TWO_TORCH = (
    TORCH
    + """
class Block(nn.Module):
    def __init__(self, i, n):
        super().__init__()
        self.lin1, self.ln, self.lin2 = nn.Linear(i, n), nn.LayerNorm(n, eps=1e-3), nn.Linear(n, n)

    def forward(self, x):
        y = torch.tanh(self.ln(self.lin1(x)))
        return y + self.lin2(y) * 0.3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(5, 8, 3)
        self.gru = nn.GRU(8, 4, bidirectional=True)
        self.rnn = nn.RNN(8, 6)
        self.rnn.bias_hh_l0.requires_grad_(False)
        self.mlp = nn.Sequential(nn.Linear(4, 6), nn.SELU(), nn.Linear(6, 6))
        self.blocks = nn.Sequential(Block(12, 8), Block(8, 8))
        self.a, self.b = nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x, y):
        x = self.conv(F.pad(x, (2, 0))).relu()
        x = F.max_pool1d(x, 2).permute(2, 0, 1)
        x = self.rnn(self.gru(x)[0])[1][0]
        x = self.blocks(torch.cat([x, self.mlp(y)], 1))
        return self.a(x), self.b(x)


def build():
    return Net()
"""
)

ENCODER_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((5, 8))
    y = L.MultiHeadAttention(2, 4, name="mha")(i, i)
    x = L.LayerNormalization(epsilon=1e-5, name="ln1")(L.Add()([i, y]))
    y = L.Dense(8, name="down")(L.Dense(16, activation="relu", name="up")(x))
    x = L.LayerNormalization(epsilon=1e-5, name="ln2")(L.Add()([x, y]))
    x = L.Flatten()(x)
    return fill(keras.Model(i, L.Dense(3, name="fc")(x)), 6)
"""
)

ENCODER_TORCH = (
    TORCH
    + """
def build():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 3))
"""
)

VOLUME_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((4, 6, 6, 2))
    x = L.Conv3D(4, 3, padding="same", activation="hard_sigmoid", name="conv")(i)
    x = L.BatchNormalization(momentum=0.9, name="bn")(x)
    x = L.Conv3DTranspose(3, 2, strides=2, activation="softplus", name="up")(x)
    x = L.GlobalAveragePooling3D()(x)
    return fill(keras.Model(i, L.Dense(2, name="fc")(x)), 7)
"""
)

VOLUME_TORCH = (
    TORCH
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4, eps=1e-3)
        self.up, self.fc = nn.ConvTranspose3d(4, 3, 2, 2), nn.Linear(3, 2)

    def forward(self, x):
        x = F.softplus(self.up(self.bn(F.hardsigmoid(self.conv(x)))))
        return self.fc(x.mean((2, 3, 4)))


def build():
    return Net()
"""
)

CELLS_KERAS = (
    FILL
    + """

def build():
    i = keras.Input((5, 4))
    x = L.LSTM(6, return_sequences=True, name="lstm")(i)
    x = L.GRU(5, name="gru")(x)
    return fill(keras.Model(i, L.Dense(2, name="out")(x)), 8)
"""
)

CELLS_TORCH = (
    TORCH
    + """
class LSTM(nn.Module):
    def __init__(self, i, u):
        super().__init__()
        self.u, self.x2h, self.h2h = u, nn.Linear(i, 4 * u), nn.Linear(u, 4 * u, bias=False)

    def forward(self, x):
        h = c = x.new_zeros(len(x), self.u)
        steps = []
        for t in range(x.shape[1]):
            i, f, g, o = (self.x2h(x[:, t]) + self.h2h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            steps.append(h)
        return torch.stack(steps, 1)


class GRU(nn.Module):
    def __init__(self, i, u):
        super().__init__()
        self.u, self.x2h, self.h2h = u, nn.Linear(i, 3 * u), nn.Linear(u, 3 * u)

    def forward(self, x):
        h = x.new_zeros(len(x), self.u)
        for t in range(x.shape[1]):
            a, b = self.x2h(x[:, t]).chunk(3, 1), self.h2h(h).chunk(3, 1)
            r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
            h = z * h + (1 - z) * torch.tanh(a[2] + r * b[2])
        return h


def build():
    return nn.Sequential(LSTM(4, 6), GRU(6, 5), nn.Linear(5, 2))
"""
)

ZOO = {
    "vision transformer": (VISION_KERAS, VISION_TORCH),
    "u-net": (UNET_KERAS, UNET_TORCH),
    "two inputs, two outputs": (TWO_KERAS, TWO_TORCH),
    "encoder layer": (ENCODER_KERAS, ENCODER_TORCH),
    "volumes": (VOLUME_KERAS, VOLUME_TORCH),
    "cells written out": (CELLS_KERAS, CELLS_TORCH),
}
