# ruff: noqa: E501  # a module is a line or two
"""Pairs from many fields: generators, sound, tables, graphs, video, detection; right ports, and such with one thing wrong."""

from dataclasses import replace

from tests.pair.short import pair
from tests.pair.sources import FILL

TWO = {"takes": "x, y", "gives": "fill(keras.Model([i, j], o), 1)"}

GENERATOR = """i = keras.Input((10,))
x = L.Dense(128, use_bias=False, name="proj")(i)
x = L.LeakyReLU(negative_slope=0.2, name="l0")(L.BatchNormalization(momentum=0.8, name="bn0")(x))
x = L.Reshape((4, 4, 8), name="re")(x)
x = L.Conv2DTranspose(6, 4, strides=2, padding="same", name="t1")(x)
o = L.Conv2DTranspose(2, 4, strides=2, padding="same", activation="tanh", name="t2")(L.LeakyReLU(negative_slope=0.2, name="l1")(x))"""
GENERATOR_INIT = "self.proj = nn.Linear(10, 128, bias=False); self.bn0 = nn.BatchNorm1d(128, 1e-3, 0.2); self.t1 = nn.ConvTranspose2d(8, 6, 4, 2, 1); self.t2 = nn.ConvTranspose2d(6, 2, 4, 2, 1)"
GENERATOR_FORWARD = """x = F.leaky_relu(self.bn0(self.proj(x)), 0.2).view(-1, 8, 4, 4)
return torch.tanh(self.t2(F.leaky_relu(self.t1(x), 0.2)))"""

AUTOENCODER = """i = keras.Input((8, 8, 1))
x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="e1")(i)
x = L.Dense(3, name="code")(L.Flatten(name="flat")(x))
x = L.Dense(64, activation="relu", name="dec")(x)
x = L.Reshape((4, 4, 4), name="re")(x)
o = L.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid", name="t")(x)"""
AUTOENCODER_TORCH = (
    "self.e1 = nn.Conv2d(1, 4, 3, 2); self.code = nn.Linear(64, 3); self.dec = nn.Linear(3, 64); self.t = nn.ConvTranspose2d(4, 1, 3, 2)",
    """x = F.relu(self.e1(F.pad(x, (0, 1, 0, 1)))).flatten(1)
x = F.relu(self.dec(self.code(x))).unflatten(1, (4, 4, 4))
return self.t(x)[:, :, :8, :8]""",
)

BESIDE = """i = keras.Input((8, 8, 3)); j = keras.Input((5,))
x = L.MaxPooling2D(2, name="mp")(L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i))
x = L.Concatenate(name="join")([L.Flatten(name="flat")(x), j])
o = L.Dense(2, name="out")(L.Dense(7, activation="relu", name="d")(x))"""
BESIDE_INIT = "self.c = nn.Conv2d(3, 4, 3, padding=1); self.d = nn.Linear(69, 7); self.out = nn.Linear(7, 2)"
BESIDE_FORWARD = (
    "x = F.max_pool2d(F.relu(self.c(x)), 2)\nreturn self.out(F.relu(self.d(torch.cat([x.flatten(1), y], 1))))"
)

NORMED = """i = keras.Input((8, 8, 3))
x = L.AveragePooling2D(2, name="mp")(L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i))
x = L.Dropout(0.4, name="dr")(L.Flatten(name="flat")(x))
x = L.LeakyReLU(negative_slope=0.01, name="l")(L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x))
o = L.Dense(2, name="out")(x)"""
NORMED_INIT = "self.c = nn.Conv2d(3, 4, 3, padding=1); self.dr = nn.Dropout(0.4); self.bn = nn.BatchNorm1d(64); self.l = nn.LeakyReLU(); self.out = nn.Linear(64, 2)"
NORMED_FORWARD = (
    "x = F.avg_pool2d(F.relu(self.c(x)), 2)\nreturn self.out(self.l(self.bn(self.dr(torch.flatten(x, 1)))))"
)

OWN = (
    FILL
    + """
class D(L.Layer):
    def __init__(self, n, **k):
        super().__init__(**k); self.n = n
    def build(self, s):
        self.w = self.add_weight(shape=(s[-1], self.n), name="w"); self.b = self.add_weight(shape=(self.n,), name="b")
    def call(self, x):
        return keras.ops.matmul(x, self.w) + self.b

def build():
    i = keras.Input((6,))
    x = keras.ops.tanh(D(6, name="d2")(keras.ops.tanh(D(6, name="d1")(i))))
    return fill(keras.Model(i, D(2, name="d3")(x)), 1)
"""
)
OWN_INIT = "self.d1 = nn.Linear(6, 6); self.d2 = nn.Linear(6, 6); self.d3 = nn.Linear(6, 2)"
GRAPH = (
    FILL
    + """
class G(L.Layer):
    def build(self, s):
        self.kernel = self.add_weight(shape=(s[0][-1], 6), name="kernel"); self.bias = self.add_weight(shape=(6,), name="bias")
    def call(self, xs):
        return keras.ops.einsum("bij,bjf->bif", xs[1], keras.ops.matmul(xs[0], self.kernel)) + self.bias

def build():
    i = keras.Input((5, 4)); j = keras.Input((5, 5))
    x = G(name="g2")([L.ReLU(name="r")(G(name="g1")([i, j])), j])
    return fill(keras.Model([i, j], L.Dense(2, name="fc")(x)), 1)
"""
)
GRAPH_INIT = "self.l1 = nn.Linear(4, 6, bias=False); self.b1 = nn.Parameter(torch.zeros(6)); self.l2 = nn.Linear(6, 6, bias=False); self.b2 = nn.Parameter(torch.zeros(6)); self.fc = nn.Linear(6, 2)"
GRAPH_FORWARD = (
    "x = F.relu(torch.bmm(y, self.l1(x)) + self.b1)\nreturn self.fc(torch.bmm(y, self.l2(x)) + self.b2)"
)

VIDEO = """i = keras.Input((3, 6, 6, 2))
x = L.ConvLSTM2D(4, 3, padding="same", name="cl")(i)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D(name="gap")(x))"""
VIDEO_ONE = "self.conv = nn.Conv2d(6, 16, 3, padding=1); self.fc = nn.Linear(4, 2)"
VIDEO_FORWARD = """h = x.new_zeros(len(x), 4, 6, 6); c = torch.zeros_like(h)
for t in range(3):
    i, f, g, o = self.conv(torch.cat([x[:, :, t], h], 1)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h.mean((2, 3)))"""
VIDEO_TWO = "self.cx = nn.Conv2d(2, 16, 3, padding=1); self.ch = nn.Conv2d(4, 16, 3, padding=1, bias=False); self.fc = nn.Linear(4, 2)"
VIDEO_APART = VIDEO_FORWARD.replace(
    "self.conv(torch.cat([x[:, :, t], h], 1))", "(self.cx(x[:, :, t]) + self.ch(h))"
)

SEQUENCES = """i = keras.Input((6, 4)); j = keras.Input((5, 4))
x, h1 = L.GRU(7, return_sequences=True, return_state=True, name="e1")(i)
x, h2 = L.GRU(7, return_sequences=True, return_state=True, name="e2")(x)
y = L.GRU(7, return_sequences=True, name="d1")(j, initial_state=h1)
o = L.Dense(3, name="fc")(L.GRU(7, return_sequences=True, name="d2")(y, initial_state=h2))"""
SEQUENCES_INIT = "self.enc = nn.GRU(4, 7, 2, batch_first=True); self.dec = nn.GRU(4, 7, 2, batch_first=True); self.fc = nn.Linear(7, 3)"
SEQUENCES_FORWARD = "h = self.enc(x)[1]\nreturn self.fc(self.dec(y, h)[0])"
LSTMS = SEQUENCES.replace("GRU", "LSTM").replace("x, h", "x, c, h")
LSTMS = (
    LSTMS.replace("x, c, h1", "x, h1, c1")
    .replace("x, c, h2", "x, h2, c2")
    .replace("initial_state=h1", "initial_state=[h1, c1]")
    .replace("initial_state=h2", "initial_state=[h2, c2]")
)
LSTMS_INIT = (
    SEQUENCES_INIT.replace("GRU", "LSTM")
    + "\nfor n, p in self.named_parameters():\n    if 'bias_hh' in n: nn.init.zeros_(p).requires_grad_(False)"
)

HEADS = """i = keras.Input((8, 8, 3))
p1 = L.Conv2D(6, 3, padding="same", activation="relu", name="p1")(i)
p2 = L.MaxPooling2D(2, name="p2")(p1)
b = L.Conv2D(8, 3, padding="same", name="box")
o = L.Concatenate(axis=1, name="boxes")([L.Reshape((-1, 4), name=f"r{n}")(b(p)) for n, p in enumerate((p1, p2))])"""
HEADS_INIT = "self.p1 = nn.Conv2d(3, 6, 3, padding=1); self.box = nn.Conv2d(6, 8, 3, padding=1)"
HEADS_FORWARD = """p1 = F.relu(self.p1(x))
return torch.cat([self.box(p).permute(0, 2, 3, 1).reshape(len(x), -1, 4) for p in (p1, F.max_pool2d(p1, 2))], 1)"""

HAND = """i = keras.Input((6, 6, 3))
x = L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn")(L.Conv2D(4, 3, use_bias=False, name="c")(i))
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D(name="gap")(L.ReLU(name="r")(x)))"""
HAND_NORM = """class BN(nn.Module):
    def __init__(self, n):
        super().__init__(); self.gamma = nn.Parameter(torch.ones(n)); self.beta = nn.Parameter(torch.zeros(n)); self.register_buffer("mean", torch.zeros(n)); self.register_buffer("var", torch.ones(n))
    def forward(self, x):
        if self.training:
            m, v = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            with torch.no_grad():
                self.mean.mul_(0.9).add_(0.1 * m); self.var.mul_(0.9).add_(0.1 * v)
        else:
            m, v = self.mean, self.var
        s = lambda a: a[:, None, None]
        return (x - s(m)) / torch.sqrt(s(v) + 1e-3) * s(self.gamma) + s(self.beta)


class Net"""


def hand(old="", new="", finds=()):
    """A batch normalisation written out, one thing in it changed."""
    case = pair(
        HAND,
        "self.c = nn.Conv2d(3, 4, 3, bias=False); self.bn = BN(4); self.fc = nn.Linear(4, 2)",
        "return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))",
        finds=finds,
    )
    assert not old or old in HAND_NORM
    return replace(
        case, torch=case.torch.replace("class Net", HAND_NORM.replace(old, new) if old else HAND_NORM, 1)
    )


ROOT = (
    FILL
    + """
class RMS(L.Layer):
    def build(self, s):
        self.scale = self.add_weight(shape=(s[-1],), name="scale")
    def call(self, x):
        return x * keras.ops.rsqrt(keras.ops.mean(keras.ops.square(x), -1, keepdims=True) + 1e-6) * self.scale

def build():
    i = keras.Input((6, 8))
    return fill(keras.Model(i, L.Dense(3, name="head")(RMS(name="rms")(i))), 1)
"""
)
ROOT_INIT = "self.n = nn.RMSNorm(8, eps=1e-6); self.head = nn.Linear(8, 3)"
SIAMESE = """i = keras.Input((6,)); j = keras.Input((6,))
e = L.Dense(4, name="z")
o = L.Dense(1, activation="sigmoid", name="out")(DISTANCE)"""
SIAMESE_INIT = "self.z = nn.Linear(6, 4); self.out = nn.Linear(4, 1)"
OWN_DISTANCE = (
    FILL
    + """
class Far(L.Layer):
    def call(self, a, b):
        return FUNCTION(a - b)

def build():
    i = keras.Input((6,)); j = keras.Input((6,))
    e = L.Dense(4, name="z")
    return fill(keras.Model([i, j], L.Dense(1, name="out")(Far(name="far")(e(i), e(j)))), 1)
"""
)
SQUARED, ABSOLUTE = (OWN_DISTANCE.replace("FUNCTION", f"keras.ops.{name}") for name in ("square", "absolute"))
ANGLE = SIAMESE.replace("DISTANCE", 'L.Dot(axes=1, normalize=True, name="cos")([e(i), e(j)])').replace(
    ', activation="sigmoid"', ""
)
ANGLE_INIT = "self.z = nn.Linear(6, 4); self.out = nn.Linear(1, 1)"
ADDITIVE = """i = keras.Input((4, 6)); j = keras.Input((5, 6))
o = L.Dense(2, name="out")(L.AdditiveAttention(name="att")([i, j]))"""
ADDITIVE_INIT = "self.scale = nn.Parameter(torch.ones(6)); self.out = nn.Linear(6, 2)"
ADDITIVE_FORWARD = (
    "s = (self.scale * torch.tanh(x[:, :, None] + y[:, None])).sum(-1)\nreturn self.out(s.softmax(-1) @ y)"
)
FACTOR = """i = keras.Input((8, 8, 3))
o = L.Conv2D(4, 3, name="c")(L.Rescaling(1 / 255, name="re")(i))"""

READING = """i = keras.Input((8, 12, 1))
x = L.MaxPooling2D((2, 2), name="p1")(L.Conv2D(4, 3, padding="same", activation="relu", name="c1")(i))
x = L.Reshape((6, 16), name="re")(L.Permute((2, 1, 3), name="perm")(x))
o = L.Dense(7, activation="softmax", name="fc")(L.Bidirectional(L.LSTM(5, return_sequences=True), name="bi")(x))"""
READING_INIT = """self.c1 = nn.Conv2d(1, 4, 3, padding=1); self.bi = nn.LSTM(16, 5, batch_first=True, bidirectional=True); self.fc = nn.Linear(10, 7)
for n, p in self.bi.named_parameters():
    if "bias_hh" in n: p.requires_grad_(False)"""
READING_FORWARD = "x = F.max_pool2d(F.relu(self.c1(x)), 2)\nreturn self.fc(self.bi(x.permute(0, 3, 1, 2).reshape(len(x), 6, 16))[0])"
ROWS = """i = keras.Input((6, 6, 2))
x = L.Reshape((4, 12), name="rows")(L.Conv2D(3, 3, activation="relu", name="c")(i))
o = L.Dense(2, name="o")(L.GlobalAveragePooling1D(name="g")(L.Dense(5, activation="relu", name="d")(x)))"""
ROWS_INIT = "self.c = nn.Conv2d(2, 3, 3); self.d = nn.Linear(12, 5); self.o = nn.Linear(5, 2)"
ROWS_FORWARD = "x = F.relu(self.c(x)).permute(0, 2, 1, 3).reshape(len(x), 4, 12)\nreturn self.o(F.relu(self.d(x)).mean(1))"
MAPS = """i = keras.Input((8, 8, 3))
a = L.Conv2D(4, 3, strides=2, name="a")(i); b = L.Conv2D(5, 5, strides=2, name="b")(i)
x = L.Concatenate(name="j")([L.Flatten(name="fa")(a), L.Flatten(name="fb")(b)])
o = L.Dense(3, name="o")(L.Activation("relu", name="r")(x))"""
MAPS_INIT = "self.a = nn.Conv2d(3, 4, 3, 2); self.b = nn.Conv2d(3, 5, 5, 2); self.o = nn.Linear(56, 3)"
MAPS_FORWARD = (
    "return self.o(F.relu(torch.cat([self.a(x).flatten(1), self.b(x).permute(0, 2, 3, 1).flatten(1)], 1)))"
)
NOISE = """i = keras.Input((6,))
x = L.Dense(8, activation="selu", name="d")(L.GaussianNoise(0.1, name="gn")(i))
o = L.Dense(2, name="o")(L.Dropout(0.2, name="dr")(x))"""
NOISE_MODULE = """class GaussianNoise(nn.Module):
    def __init__(self, std):
        super().__init__(); self.std = std
    def forward(self, x):
        return x + self.std * torch.randn_like(x) if self.training else x


class Net"""


def noisy(std, finds=()):
    """Noise in a module of a person's own, as PyTorch has none."""
    case = pair(
        NOISE,
        f"self.gn = GaussianNoise({std}); self.d = nn.Linear(6, 8); self.dr = nn.Dropout(0.2); self.o = nn.Linear(8, 2)",
        "return self.o(self.dr(F.selu(self.d(self.gn(x)))))",
        finds=finds,
    )
    return replace(case, torch=case.torch.replace("class Net", NOISE_MODULE, 1))


DOMAINS_RIGHT = {
    "columns of a map read one after another, channels first": pair(READING, READING_INIT, READING_FORWARD),
    "columns of a map read one after another, channels last": pair(READING, READING_INIT, READING_FORWARD.replace("permute(0, 3, 1, 2)", "permute(0, 3, 2, 1)")),
    "rows of a map, channels first": pair(ROWS, ROWS_INIT, ROWS_FORWARD),
    "two flattened maps, one of them channels last": pair(MAPS, MAPS_INIT, MAPS_FORWARD),
    "noise in a module of a person's own": noisy(0.1),
    "a vector made into a map, channels first": pair(GENERATOR, GENERATOR_INIT, GENERATOR_FORWARD),
    "a vector made into a map, channels last": pair(GENERATOR, GENERATOR_INIT, GENERATOR_FORWARD.replace("view(-1, 8, 4, 4)", "view(-1, 4, 4, 8).permute(0, 3, 1, 2)")),
    "a map that becomes a vector and a map again": pair(AUTOENCODER, *AUTOENCODER_TORCH),
    "a flattened map beside a table": pair(BESIDE, BESIDE_INIT, BESIDE_FORWARD, **TWO),
    "a flattened map beside a table, channels last": pair(BESIDE, BESIDE_INIT, BESIDE_FORWARD.replace("x.flatten(1)", "x.permute(0, 2, 3, 1).flatten(1)"), **TWO),
    "a slope of float32 behind a flattened map's normalisation": pair(NORMED, NORMED_INIT, NORMED_FORWARD),
    "dense layers of a person's own, as wide as long": pair(OWN, OWN_INIT, "return self.d3(self.d2(self.d1(x).tanh()).tanh())"),
    "a graph's layers of a person's own": pair(GRAPH, GRAPH_INIT, GRAPH_FORWARD, takes="x, y"),
    "a recurrent convolution on input and state side by side": pair(VIDEO, VIDEO_ONE, VIDEO_FORWARD),
    "a recurrent convolution in two": pair(VIDEO, VIDEO_TWO, VIDEO_APART),
    "a stack that begins with a stack's states": pair(SEQUENCES, SEQUENCES_INIT, SEQUENCES_FORWARD, **TWO),
    "a stack of LSTMs that begins with a stack's states": pair(LSTMS, LSTMS_INIT, SEQUENCES_FORWARD, **TWO),
    "a head on maps of two sizes": pair(HEADS, HEADS_INIT, HEADS_FORWARD),
    "a batch normalisation written out": hand(),
    "a root mean square of a person's own": pair(ROOT, ROOT_INIT, "return self.head(self.n(x))"),
    "a squared difference": pair(SQUARED, SIAMESE_INIT, "return self.out((self.z(x) - self.z(y)) ** 2)", takes="x, y"),
    "an angle": pair(ANGLE, ANGLE_INIT, "return self.out(F.cosine_similarity(self.z(x), self.z(y))[:, None])", **TWO),
    "additive attention": pair(ADDITIVE, ADDITIVE_INIT, ADDITIVE_FORWARD, **TWO),
    "a quotient for a factor": pair(FACTOR, "self.c = nn.Conv2d(3, 4, 3)", "return self.c(x / 255)"),
}  # fmt: skip
DOMAINS_WRONG = {
    "rows of a map read for its columns": pair(READING, READING_INIT, READING_FORWARD.replace("permute(0, 3, 1, 2)", "permute(0, 2, 3, 1)"), finds=("flatten-order", "re")),
    "channels of a map read for its rows": pair(ROWS.replace("(4, 12)", "(3, 16)").replace("Conv2D(3,", "Conv2D(3,"), ROWS_INIT.replace("nn.Linear(12, 5)", "nn.Linear(16, 5)"), "x = F.relu(self.c(x)).reshape(len(x), 3, 16)\nreturn self.o(F.relu(self.d(x)).mean(1))", finds=("flatten-order", "rows")),
    "two flattened maps in the other order": pair(MAPS, MAPS_INIT, MAPS_FORWARD.replace("[self.a(x).flatten(1), self.b(x).permute(0, 2, 3, 1).flatten(1)]", "[self.b(x).flatten(1), self.a(x).flatten(1)]"), finds=("unknown", "j")),
    "noise of another size": noisy(0.3, ("dropout-rate", "gn")),
    "one of a person's own dense layers twice": pair(OWN, OWN_INIT, "return self.d3(self.d1(self.d1(x).tanh()).tanh())", finds=("sharing", "d2")),
    "a person's own dense layer without its bias": pair(OWN, OWN_INIT.replace("self.d2 = nn.Linear(6, 6)", "self.d2 = nn.Linear(6, 6, bias=False)"), "return self.d3(self.d2(self.d1(x).tanh()).tanh())", finds=("bias", "d2")),
    "a factor whose offset is left out": pair(FACTOR.replace("1 / 255", "1 / 127.5, offset=-1"), "self.c = nn.Conv2d(3, 4, 3)", "return self.c(x / 127.5)", finds=("input-scale", "re")),
    "a vector made into a map with height and width exchanged": pair(GENERATOR, GENERATOR_INIT, GENERATOR_FORWARD.replace("view(-1, 8, 4, 4)", "view(-1, 4, 4, 8).permute(0, 3, 2, 1)"), finds=("flatten-order", "re")),
    "a flattened map behind a table, not before it": pair(BESIDE, BESIDE_INIT, BESIDE_FORWARD.replace("[x.flatten(1), y]", "[y, x.flatten(1)]"), **TWO, finds=("unknown", "join")),
    "another slope behind a flattened map's normalisation": pair(NORMED, NORMED_INIT.replace("nn.LeakyReLU()", "nn.LeakyReLU(0.02)"), NORMED_FORWARD, finds=("activation", "l")),
    "a graph's edges turned round in the second layer": pair(GRAPH, GRAPH_INIT, GRAPH_FORWARD.replace("torch.bmm(y, self.l2(x))", "torch.bmm(y.mT, self.l2(x))"), takes="x, y", finds=("flatten-order", "g2")),
    "a recurrent convolution with two gates exchanged": pair(VIDEO, VIDEO_TWO, VIDEO_APART.replace("i, f, g, o =", "i, f, o, g ="), finds=("gate-order", "cl")),
    "a stack that begins with one layer's state twice": pair(SEQUENCES, SEQUENCES_INIT, "h = self.enc(x)[1]\nreturn self.fc(self.dec(y, h[-1:].expand(2, -1, -1).contiguous())[0])", **TWO, finds=("unknown", "d1")),
    "a stack that begins with states in the other order": pair(SEQUENCES, SEQUENCES_INIT, "h = self.enc(x)[1]\nreturn self.fc(self.dec(y, h.flip(0))[0])", **TWO, finds=("unknown", "d1")),
    "a stack of LSTMs with states and cells exchanged": pair(LSTMS, LSTMS_INIT, "h, c = self.enc(x)[1]\nreturn self.fc(self.dec(y, (c, h))[0])", **TWO, finds=("unknown", "d1")),
    "a head that leaves the channels first on both maps": pair(HEADS, HEADS_INIT, HEADS_FORWARD.replace(".permute(0, 2, 3, 1)", ""), finds=("flatten-order", "r0")),
    "another decay of a batch normalisation written out": hand("self.mean.mul_(0.9).add_(0.1 * m); self.var.mul_(0.9).add_(0.1 * v)", "self.mean.mul_(0.99).add_(0.01 * m); self.var.mul_(0.99).add_(0.01 * v)", ("decay", "bn")),
    "the unbiased variance of a batch normalisation written out": hand("add_(0.1 * v)", "add_(0.1 * x.var((0, 2, 3)))", ("variance-rule", "bn")),
    "another epsilon of a batch normalisation written out": hand("1e-3", "1e-5", ("epsilon", "bn")),
    "epsilon added to the root": hand("torch.sqrt(s(v) + 1e-3)", "(torch.sqrt(s(v)) + 1e-3)", ("epsilon", "bn")),
    "another epsilon than a person's own root mean square has": pair(ROOT, ROOT_INIT.replace("1e-6", "1e-4"), "return self.head(self.n(x))", finds=("epsilon", "rms")),
    "a square for an absolute value": pair(ABSOLUTE, SIAMESE_INIT, "return self.out((self.z(x) - self.z(y)) ** 2)", takes="x, y", finds=("unknown", "far")),
    "a product for an angle": pair(ANGLE, ANGLE_INIT, "return self.out((self.z(x) * self.z(y)).sum(1, keepdim=True))", **TWO, finds=("scale", "cos")),
    "additive attention without tanh": pair(ADDITIVE, ADDITIVE_INIT, ADDITIVE_FORWARD.replace("torch.tanh(x[:, :, None] + y[:, None])", "(x[:, :, None] + y[:, None])"), **TWO, finds=("activation", "att")),
    "additive attention along queries": pair(ADDITIVE, ADDITIVE_INIT, ADDITIVE_FORWARD.replace("softmax(-1)", "softmax(1)"), **TWO, finds=("axis", "att")),
    "another quotient": pair(FACTOR, "self.c = nn.Conv2d(3, 4, 3)", "return self.c(x / 256)", finds=("input-scale", "re")),
}  # fmt: skip
