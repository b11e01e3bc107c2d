# ruff: noqa: E501  # a module is a line or two
"""What people port: gates, shortcuts, shuffles, positions, two inputs; right ports, and such with one thing wrong."""

from tests.pair.short import pair
from tests.pair.sources import FILL

FB = "; ".join(f"self.r.bias_hh_l{n}{s}.requires_grad_(False)" for n in (0, 1) for s in ("", "_reverse"))
BI = """i = keras.Input((6, 4))
x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="b1")(i)
x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="b2")(x)
o = L.Dense(2, name="fc")(x)"""
UNET = """i = keras.Input((12, 12, 2))
a = L.Conv2D(6, 3, padding="same", activation="relu", name="e1")(i)
b = L.Conv2D(8, 3, padding="same", activation="relu", name="e2")(L.MaxPooling2D(name="p")(a))
u = L.Conv2DTranspose(6, 2, strides=2, name="up")(b)
x = L.Concatenate(name="join")([a, u])
x = L.Conv2D(6, 3, padding="same", activation="relu", name="d1")(x)
o = L.Conv2D(1, 1, activation="sigmoid", name="mask")(x)"""
UT = """self.e1 = nn.Conv2d(2, 6, 3, padding=1); self.e2 = nn.Conv2d(6, 8, 3, padding=1); self.up = nn.ConvTranspose2d(8, 6, 2, 2); self.d1 = nn.Conv2d(12, 6, 3, padding=1); self.mask = nn.Conv2d(6, 1, 1)"""


def ut(cat="[a, u]", end="", pool="F.max_pool2d(a, 2)"):
    return f"""a = F.relu(self.e1(x))
b = F.relu(self.e2({pool}))
u = self.up(b)
return {end}(self.mask(F.relu(self.d1(torch.cat({cat}, 1)))))"""


SIAM = """i = keras.Input((6,)); j = keras.Input((6,))
e = keras.Sequential([L.Dense(8, activation="relu", name="h"), L.Dense(4, name="z")], name="enc")
d = keras.ops.absolute(e(i) - e(j))
o = L.Dense(1, activation="sigmoid", name="out")(d)"""
SIAMT = (
    """self.enc = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)); self.out = nn.Linear(4, 1)"""
)
XY = {"takes": "x, y", "gives": "fill(keras.Model([i, j], o), 1)"}
IMGTAB = """i = keras.Input((8, 8, 3)); j = keras.Input((5,))
a = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, activation="relu", name="c")(i))
b = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(j)
b = L.Dense(4, activation="relu", name="d")(b)
o = L.Dense(2, name="fc")(L.Concatenate(name="join")([a, b]))"""
WAVE = """i = keras.Input((12, 4))
x = L.Conv1D(6, 1, name="pre")(i)
f = L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="tanh", name="filter")(x)
g = L.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="sigmoid", name="gate")(x)
z = L.Conv1D(6, 1, name="res")(L.Multiply(name="mul")([f, g]))
x = L.Add(name="sum")([x, z])
o = L.Conv1D(2, 1, name="out")(x)"""
WT = """self.pre = nn.Conv1d(4, 6, 1); self.filter = nn.Conv1d(6, 6, 3, dilation=2); self.gate = nn.Conv1d(6, 6, 3, dilation=2); self.res = nn.Conv1d(6, 6, 1); self.out = nn.Conv1d(6, 2, 1)"""
SEP = """i = keras.Input((10, 10, 3))
x = L.SeparableConv2D(6, 3, strides=2, padding="same", activation="relu", name="sep")(i)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(x))"""
SEPT = """self.dw = nn.Conv2d(3, 3, 3, 2, {}, groups=3, bias=False); self.pw = nn.Conv2d(3, 6, 1); self.fc = nn.Linear(6, 2)"""
CONV5 = """i = keras.Input(({0}, {0}, 3))
x = L.Conv2D(6, 5, strides=2, padding="same", activation="relu", name="c")(i)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(x))"""
C5T = (
    "self.c = nn.Conv2d(3, 6, 5, 2, 2); self.fc = nn.Linear(6, 2)",
    "return self.fc(F.relu(self.c(x)).mean((2, 3)))",
)
STEM = """i = keras.Input((16, 16, 3))
x = L.ZeroPadding2D(3, name="pad1")(i)
x = L.Conv2D(6, 7, strides=2, name="c")(x){}
x = L.ZeroPadding2D(1, name="pad2")(x)
x = L.MaxPooling2D(3, strides=2, name="pool")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(x))"""
CBAM = """i = keras.Input((8, 8, 4))
x = L.Conv2D(6, 3, padding="same", name="c")(i)
m = keras.ops.mean(x, axis=-1, keepdims=True); n = keras.ops.max(x, axis=-1, keepdims=True)
s = L.Conv2D(1, 5, padding="same", activation="sigmoid", name="spatial")(L.Concatenate(name="join")([m, n]))
x = L.Multiply(name="gate")([x, s])
o = L.Conv2D(2, 1, name="out")(x)"""
CBT = "self.c = nn.Conv2d(4, 6, 3, padding=1); self.spatial = nn.Conv2d(2, 1, 5, padding=2); self.out = nn.Conv2d(6, 2, 1)"
POOLA = """i = keras.Input((6, 5))
x = L.Dense(8, activation="tanh", name="d")(i)
w = L.Softmax(axis=1, name="soft")(L.Dense(1, name="score")(x))
x = keras.ops.sum(x * w, axis=1)
o = L.Dense(2, name="fc")(x)"""
PAT = "self.d = nn.Linear(5, 8); self.score = nn.Linear(8, 1); self.fc = nn.Linear(8, 2)"
GCN = """i = keras.Input((5, 4)); j = keras.Input((5, 5))
x = L.Dense(6, activation="relu", name="g1")(keras.ops.matmul(j, i))
x = L.Dense(3, name="g2")(keras.ops.matmul(j, x))
o = L.Dense(2, name="fc")(L.GlobalAveragePooling1D(name="gap")(x))"""
GT = "self.g1 = nn.Linear(4, 6); self.g2 = nn.Linear(6, 3); self.fc = nn.Linear(3, 2)"
SHUF = """i = keras.Input((6, 6, 4))
x = L.Conv2D(8, 1, groups=4, name="g1")(i)
x = L.Reshape((6, 6, 4, 2), name="split")(x); x = L.Permute((1, 2, 4, 3), name="swap")(x); x = L.Reshape((6, 6, 8), name="join")(x)
o = L.Conv2D(2, 3, groups=2, name="g2")(x)"""
ST = "self.g1 = nn.Conv2d(4, 8, 1, groups=4); self.g2 = nn.Conv2d(8, 2, 3, groups=2)"
ROLL = """i = keras.Input((8, 6))
x = L.Dense(6, name="d1")(i)
x = keras.ops.roll(x, -2, axis=1)
o = L.Conv1D(3, 3, name="out")(x)"""
ROT = """
class Rotary(L.Layer):
    def call(self, x):
        t = keras.ops.arange(x.shape[1], dtype=x.dtype)[:, None] * keras.ops.array([1.0, 0.1], dtype=x.dtype)
        a, b = x[..., :2], x[..., 2:]
        return keras.ops.concatenate([a * keras.ops.cos(t) - b * keras.ops.sin(t), b * keras.ops.cos(t) + a * keras.ops.sin(t)], -1)


def build():
    i = keras.Input((5, 6))
    x = Rotary(name="rot")(L.Dense(4, name="d")(i))
    return fill(keras.Model(i, L.Dense(2, name="out")(L.Flatten()(x))), 1)
"""
ROT = FILL + ROT
RT = "self.d = nn.Linear(6, 4); self.out = nn.Linear(20, 2)"
MBC = """i = keras.Input((8, 8, 4))
x = L.Conv2D(12, 1, use_bias=False, name="exp")(i)
x = L.ReLU(6.0, name="r1")(L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn1")(x))
x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="dw")(x)
x = L.ReLU(6.0, name="r2")(L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn2")(x))
s = L.GlobalAveragePooling2D(keepdims=True, name="sq")(x)
s = L.Conv2D(3, 1, activation="relu", name="se1")(s); s = L.Conv2D(12, 1, activation="sigmoid", name="se2")(s)
x = L.Multiply(name="se")([x, s])
x = L.BatchNormalization(momentum=0.9, epsilon=1e-3, name="bn3")(L.Conv2D(4, 1, use_bias=False, name="proj")(x))
x = L.Add(name="res")([i, x])
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D(name="gap")(x))"""
MT = """self.exp = nn.Conv2d(4, 12, 1, bias=False); self.bn1 = nn.BatchNorm2d(12, 1e-3); self.dw = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False); self.bn2 = nn.BatchNorm2d(12, 1e-3)
self.se1 = nn.Conv2d(12, 3, 1); self.se2 = nn.Conv2d(3, 12, 1); self.proj = nn.Conv2d(12, 4, 1, bias=False); self.bn3 = nn.BatchNorm2d(4, 1e-3); self.fc = nn.Linear(4, 2)"""


def mt(se="y.mean((2, 3), keepdim=True)", res="x + self.bn3(self.proj(y * s))"):
    return f"""y = F.relu6(self.bn1(self.exp(x)))
y = F.relu6(self.bn2(self.dw(y)))
s = torch.sigmoid(self.se2(F.relu(self.se1({se}))))
y = {res}
return self.fc(y.mean((2, 3)))"""


CAP = """i = keras.Input((6,)); j = keras.Input((5,), dtype="int32")
h = L.Dense(7, activation="tanh", name="init_h")(i); c = L.Dense(7, name="init_c")(i)
x = L.LSTM(7, return_sequences=True, name="lstm")(L.Embedding(9, 4, name="emb")(j), initial_state=[h, c])
o = L.Dense(9, activation="softmax", name="words")(x)"""
CAPT = "self.ih = nn.Linear(6, 7); self.ic = nn.Linear(6, 7); self.emb = nn.Embedding(9, 4); self.r = nn.LSTM(4, 7, batch_first=True); self.r.bias_hh_l0.requires_grad_(False); self.words = nn.Linear(7, 9)"
ADD = """i = keras.Input((4, 6)); j = keras.Input((5, 6))
o = L.Dense(2, name="fc")(L.AdditiveAttention(name="att")([i, j]))"""
COS = """i = keras.Input((6,)); j = keras.Input((6,))
a = L.Dense(4, activation="tanh", name="a")(i); b = L.Dense(4, activation="tanh", name="b")(j)
o = L.Dense(1, name="fc")(L.Dot(axes=1, normalize=True, name="cos")([a, b]))"""
CT = "self.a = nn.Linear(6, 4); self.b = nn.Linear(6, 4); self.fc = nn.Linear(1, 1)"
BN1 = """i = keras.Input((8, 4))
x = L.Conv1D(6, 3, name="c")(i)
x = L.Permute((2, 1), name="perm")(x)
x = L.BatchNormalization(axis=1, momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Dense(2, name="fc")(L.Flatten(name="flat")(x))"""
PRE = """i = keras.Input((8, 4))
x = L.PReLU(shared_axes=[1], name="act")(L.Conv1D(6, 3, name="c")(i))
o = L.Conv1D(2, 1, name="out")(x)"""
FPN = """i = keras.Input((4, 4, 5))
x = L.UpSampling2D(2, name="up")(L.Conv2D(6, 1, name="lat")(i))
o = L.Conv2D(2, 3, padding="same", name="out")(x)"""
AE = """i = keras.Input((8, 8, 1))
x = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="e")(i)
x = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu", name="up")(x)
o = L.Conv2D(1, 3, padding="same", activation="sigmoid", name="out")(x)"""
SHORT = """i = keras.Input((8, 8, 4))
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(L.Conv2D(6, 3, strides=2, padding="same", name="c")(i))
y = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="sbn")(L.Conv2D(6, 1, strides=2, name="sc")(i))
x = L.ReLU(name="act")(L.Add(name="sum")([x, y]))
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D(name="gap")(x))"""
SHT = "self.c = nn.Conv2d(4, 6, 3, 2, {}); self.bn = nn.BatchNorm2d(6); self.sc = nn.Conv2d(4, 6, 1, {}); self.sbn = nn.BatchNorm2d(6); self.fc = nn.Linear(6, 2)"
POS = (
    FILL
    + """
class Words(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tok = L.Embedding(11, 6, name="tok"); self.pos = L.Embedding(7, 6, name="pos")

    def call(self, x):
        return self.tok(x) + self.pos(keras.ops.arange(x.shape[1]))


def build():
    i = keras.Input((7,), dtype="int32")
    x = L.LayerNormalization(epsilon=1e-5, name="ln")(Words(name="words")(i))
    return fill(keras.Model(i, L.Dense(2, name="fc")(L.GlobalAveragePooling1D(name="gap")(x))), 1)
"""
)
POT = "self.tok = nn.Embedding(11, 6); self.pos = nn.Embedding(7, 6); self.ln = nn.LayerNorm(6); self.fc = nn.Linear(6, 2)"
BROUGHT_RIGHT = {
    "two layers of both directions in one module": pair(BI, f"self.r = nn.LSTM(4, 5, num_layers=2, batch_first=True, bidirectional=True); {FB}; self.fc = nn.Linear(10, 2)", "return self.fc(self.r(x)[0])"),
    "attention by a sum": pair(ADD, "self.scale = nn.Parameter(torch.ones(6)); self.fc = nn.Linear(6, 2)", "s = (self.scale * torch.tanh(x[:, :, None] + y[:, None])).sum(-1).softmax(-1)\nreturn self.fc(s @ y)", **XY),
    "an encoder and a decoder with a shortcut": pair(UNET, UT, ut()),
    "one encoder for two inputs, as a Sequential": pair(SIAM, SIAMT, "return self.out((self.enc(x) - self.enc(y)).abs())", **XY),
    "an image and a table": pair(IMGTAB, "self.c = nn.Conv2d(3, 6, 3); self.bn = nn.BatchNorm1d(5); self.d = nn.Linear(5, 4); self.fc = nn.Linear(10, 2)", "return self.fc(torch.cat([F.relu(self.c(x)).mean((2, 3)), F.relu(self.d(self.bn(y)))], 1))", **XY),
    "a gated dilated convolution": pair(WAVE, WT, "x = self.pre(x); y = F.pad(x, (4, 0))\nreturn self.out(x + self.res(torch.tanh(self.filter(y)) * torch.sigmoid(self.gate(y))))"),
    "a separable convolution of stride two": pair(SEP, SEPT.format(0), "return self.fc(F.relu(self.pw(self.dw(F.pad(x, (0, 1, 0, 1))))).mean((2, 3)))"),
    "five by five of an odd width": pair(CONV5.format(9), *C5T),
    "zeros before the maximum of what is positive": pair(STEM.format('\nx = L.ReLU(name="r")(x)'), "self.c = nn.Conv2d(3, 6, 7, 2, 3); self.fc = nn.Linear(6, 2)", "return self.fc(F.max_pool2d(F.relu(self.c(x)), 3, 2, 1).mean((2, 3)))"),
    "a gate for places, of two maps": pair(CBAM, CBT, "x = self.c(x)\ns = torch.sigmoid(self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))\nreturn self.out(x * s)"),
    "a mean by attention": pair(POOLA, PAT, "x = torch.tanh(self.d(x))\nreturn self.fc((x * self.score(x).softmax(1)).sum(1))"),
    "a graph's neighbours added up": pair(GCN, GT, "return self.fc(self.g2(y @ F.relu(self.g1(y @ x))).mean(1))", **XY),
    "channels shuffled between groups": pair(SHUF, ST, "x = self.g1(x); n, c, h, w = x.shape\nreturn self.g2(x.view(n, 4, 2, h, w).transpose(1, 2).reshape(n, c, h, w))"),
    "steps rolled": pair(ROLL, "self.d1 = nn.Linear(6, 6); self.out = nn.Conv1d(6, 3, 3)", "return self.out(torch.roll(self.d1(x), -2, 1).transpose(1, 2))"),
    "positions by rotation": pair(ROT, RT, """x = self.d(x); t = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)
a, b = x[..., :2], x[..., 2:]
return self.out(torch.cat([a * t.cos() - b * t.sin(), b * t.cos() + a * t.sin()], -1).flatten(1))"""),
    "an inverted bottleneck with a squeeze": pair(MBC, MT, mt()),
    "a state that begins with another input": pair(CAP, CAPT, "s = (torch.tanh(self.ih(x))[None], self.ic(x)[None])\nreturn self.words(self.r(self.emb(y), s)[0])", **XY),
    "a cosine": pair(COS, CT, "return self.fc(F.cosine_similarity(torch.tanh(self.a(x)), torch.tanh(self.b(y)), dim=1)[:, None])", **XY),
    "a normalisation of the first axis": pair(BN1, "self.c = nn.Conv1d(4, 6, 3); self.bn = nn.BatchNorm1d(6); self.fc = nn.Linear(36, 2)", "return self.fc(self.bn(self.c(x)).flatten(1))"),
    "a slope for each channel of a sequence": pair(PRE, "self.c = nn.Conv1d(4, 6, 3); self.act = nn.PReLU(6); self.out = nn.Conv1d(6, 2, 1)", "return self.out(self.act(self.c(x)))"),
    "a product before or behind a nearest resizing": pair(FPN, "self.lat = nn.Conv2d(5, 6, 1); self.out = nn.Conv2d(6, 2, 3, padding=1)", "return self.out(self.lat(F.interpolate(x, scale_factor=2)))"),
    "a transposed convolution cut at its end": pair(AE, "self.e = nn.Conv2d(1, 6, 3, 2); self.up = nn.ConvTranspose2d(6, 6, 3, 2); self.out = nn.Conv2d(6, 1, 3, padding=1)", "return torch.sigmoid(self.out(F.relu(self.up(F.relu(self.e(F.pad(x, (0, 1, 0, 1)))))[:, :, :-1, :-1])))"),
    "a shortcut of stride two": pair(SHORT, SHT.format(0, 2), "return self.fc(F.relu(self.bn(self.c(F.pad(x, (0, 1, 0, 1)))) + self.sbn(self.sc(x))).mean((2, 3)))"),
    "words and positions added up": pair(POS, POT, "x = self.tok(x) + self.pos(torch.arange(7))\nreturn self.fc(self.ln(x).mean(1))"),
}  # fmt: skip
BROUGHT_WRONG = {
    "a shortcut joined in the other order": pair(UNET, UT, ut("[u, a]"), finds=("unknown", "join")),
    "a dilated convolution that looks ahead": pair(WAVE, WT, "x = self.pre(x); y = F.pad(x, (2, 2))\nreturn self.out(x + self.res(torch.tanh(self.filter(y)) * torch.sigmoid(self.gate(y))))", finds=("padding", "filter")),
    "a gate's function and its filter's exchanged": pair(WAVE, WT, "x = self.pre(x); y = F.pad(x, (4, 0))\nreturn self.out(x + self.res(torch.sigmoid(self.filter(y)) * torch.tanh(self.gate(y))))", finds=("activation", "filter")),
    "five by five with two zeros on both sides of an even width": pair(CONV5.format(10), *C5T, finds=("padding", "c")),
    "zeros before the maximum of anything": pair(STEM.format(""), "self.c = nn.Conv2d(3, 6, 7, 2, 3); self.fc = nn.Linear(6, 2)", "return self.fc(F.max_pool2d(self.c(x), 3, 2, 1).mean((2, 3)))", finds=("pooling", "pool")),
    "a gate that is added": pair(CBAM, CBT, "x = self.c(x)\ns = torch.sigmoid(self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))\nreturn self.out(x + s)", finds=("unknown", "gate")),
    "a mean by attention along features": pair(POOLA, PAT, "x = torch.tanh(self.d(x))\nreturn self.fc((x * self.score(x).softmax(-1)).sum(1))", finds=("axis", "soft")),
    "channels shuffled the other way": pair(SHUF, ST, "x = self.g1(x); n, c, h, w = x.shape\nreturn self.g2(x.view(n, 2, 4, h, w).transpose(1, 2).reshape(n, c, h, w))", finds=("flatten-order", "swap")),
    "channels that aren't shuffled": pair(SHUF, ST, "return self.g2(self.g1(x))", finds=("missing-layer", "swap")),
    "positions by rotation of every other number": pair(ROT, RT, """x = self.d(x); t = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * torch.tensor([1.0, 0.1], dtype=x.dtype)
a, b = x[..., ::2], x[..., 1::2]
return self.out(torch.stack([a * t.cos() - b * t.sin(), b * t.cos() + a * t.sin()], -1).flatten(2).flatten(1))""", finds=("unknown", "rot")),
    "an inverted bottleneck without its shortcut": pair(MBC, MT, mt(res="self.bn3(self.proj(y * s))"), finds=("missing-layer", "res")),
    "a state and a cell exchanged": pair(CAP, CAPT, "s = (self.ic(x)[None], torch.tanh(self.ih(x))[None])\nreturn self.words(self.r(self.emb(y), s)[0])", **XY, finds=("unknown", "lstm")),
    "a transposed convolution cut at its beginning": pair(AE, "self.e = nn.Conv2d(1, 6, 3, 2); self.up = nn.ConvTranspose2d(6, 6, 3, 2, 1, 1); self.out = nn.Conv2d(6, 1, 3, padding=1)", "return torch.sigmoid(self.out(F.relu(self.up(F.relu(self.e(F.pad(x, (0, 1, 0, 1))))))))", finds=("padding", "up")),
    "words scaled before positions": pair(POS.replace("Embedding(7, 6", "Embedding(11, 6"), POT.replace("Embedding(7, 6", "Embedding(11, 6"), "x = self.tok(x) * 6 ** 0.5 + self.pos(torch.arange(7))\nreturn self.fc(self.ln(x).mean(1))", finds=("scale", "words/tok")),
}  # fmt: skip
