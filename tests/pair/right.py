# ruff: noqa: E501  # a module is a line or two
"""Right ports of small networks, each of one kind of layer or of one way to write it."""

from tests.pair.short import pair
from tests.pair.sources import FILL

TIED = (
    FILL
    + """
class Tied(keras.Model):
    def __init__(self):
        super().__init__()
        self.emb = L.Embedding(9, 6, name="emb"); self.body = L.Dense(6, activation="tanh", name="body")
    def call(self, x):
        return keras.ops.matmul(self.body(self.emb(x)), keras.ops.transpose(self.emb.embeddings))

def build():
    m = Tied(); m(np.zeros((1, 5), "int32")); return fill(m)
"""
)

WRITTEN = (
    FILL
    + """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.c1 = L.Conv2D(4, 3, padding="same", name="c1"); self.bn = L.BatchNormalization(momentum=0.9, name="bn"); self.drop = L.Dropout(0.2)
        self.fc = L.Dense(3, name="fc")
    def call(self, x, training=False):
        x = keras.ops.relu(self.bn(self.c1(x), training=training))
        x = keras.ops.mean(x, axis=(1, 2))
        return self.fc(self.drop(x, training=training))

def build():
    m = Net(); m(np.zeros((1, 8, 8, 3))); return fill(m)
"""
)

SCALED = (
    FILL
    + """
class Scale(L.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")
    def call(self, x):
        return x * self.gamma

def build():
    i = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, padding="same", name="c")(i)
    y = L.DepthwiseConv2D(5, padding="same", name="dw")(x)
    y = L.LayerNormalization(epsilon=1e-6, name="ln")(y)
    y = L.Dense(16, activation="gelu", name="up")(y)
    y = L.Dense(4, name="down")(y)
    x = x + Scale(name="ls")(y)
    return fill(keras.Model(i, L.Dense(3, name="fc")(L.GlobalAveragePooling2D()(x))))
"""
)

RIGHT = {
    "a GRU whose gates have a product each": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.GRU(5, reset_after=False, name="gru")(i))""",
        """self.wz = nn.Linear(4, 5); self.wr = nn.Linear(4, 5); self.wh = nn.Linear(4, 5)
self.uz = nn.Linear(5, 5, bias=False); self.ur = nn.Linear(5, 5, bias=False); self.uh = nn.Linear(5, 5, bias=False)
self.fc = nn.Linear(5, 2)""",
        """h = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    s = x[:, t]
    z = torch.sigmoid(self.wz(s) + self.uz(h)); r = torch.sigmoid(self.wr(s) + self.ur(h))
    h = z * h + (1 - z) * torch.tanh(self.wh(s) + self.uh(r * h))
return self.fc(h)""",
    ),
    "an LSTM whose gates have a product each": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, name="lstm")(i))""",
        """self.xo = nn.Linear(4, 5); self.xf = nn.Linear(4, 5); self.xi = nn.Linear(4, 5); self.xc = nn.Linear(4, 5)
self.ho = nn.Linear(5, 5, bias=False); self.hf = nn.Linear(5, 5, bias=False); self.hi = nn.Linear(5, 5, bias=False); self.hc = nn.Linear(5, 5, bias=False); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    s = x[:, t]
    f = self.xf(s) + self.hf(h); i = self.xi(s) + self.hi(h); o = self.xo(s) + self.ho(h); g = self.xc(s) + self.hc(h)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h)""",
    ),
    "an LSTM of one product, the state first": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, name="lstm")(i))""",
        """self.g = nn.Linear(9, 20); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    i, f, g, o = self.g(torch.cat([h, x[:, t]], 1)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h)""",
    ),
    "two directions added up": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.Bidirectional(L.LSTM(5, return_sequences=True), merge_mode="sum", name="both")(i))""",
        """self.rnn = nn.LSTM(4, 5, batch_first=True, bidirectional=True)
self.rnn.bias_hh_l0.requires_grad_(False); self.rnn.bias_hh_l0_reverse.requires_grad_(False)
self.fc = nn.Linear(5, 2)""",
        """a, b = self.rnn(x)[0].chunk(2, -1)
return self.fc(a + b)""",
    ),
    "attention with values of another size": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 3, value_dim=5, name="mha")(i, i))""",
        """self.q = nn.Linear(8, 6); self.k = nn.Linear(8, 6); self.v = nn.Linear(8, 10); self.o = nn.Linear(10, 8)
self.fc = nn.Linear(8, 2)""",
        """h = lambda y: y.unflatten(-1, (2, -1)).transpose(1, 2)
y = F.scaled_dot_product_attention(h(self.q(x)), h(self.k(x)), h(self.v(x)))
return self.fc(self.o(y.transpose(1, 2).flatten(2)))""",
    ),
    "attention between two sequences": pair(
        """i = keras.Input((6, 8)); j = keras.Input((4, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, j))""",
        """self.att = nn.MultiheadAttention(8, 2, batch_first=True)
self.fc = nn.Linear(8, 2)""",
        """return self.fc(self.att(x, y, y)[0])""",
        gives='fill(keras.Model([i, j], o), 1)', takes='x, y',
    ),
    "a depthwise convolution with two filters a channel": pair(
        """i = keras.Input((8, 8, 3))
o = L.Conv2D(4, 1, name="pw")(L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="dw")(i))""",
        """self.dw = nn.Conv2d(3, 6, 3, padding=1, groups=3)
self.pw = nn.Conv2d(6, 4, 1)""",
        """return self.pw(self.dw(x))""",
    ),
    "a transposed convolution cut on both sides": pair(
        """i = keras.Input((5, 5, 3))
x = L.Conv2D(6, 3, padding="same", activation="relu", name="c")(i)
o = L.Conv2DTranspose(4, 4, strides=2, padding="same", name="up")(x)""",
        """self.c = nn.Conv2d(3, 6, 3, padding=1)
self.up = nn.ConvTranspose2d(6, 4, 4, 2, padding=1)""",
        """return self.up(F.relu(self.c(x)))""",
    ),
    "a normalisation over two axes": pair(
        """i = keras.Input((6, 4))
x = L.Dense(5, name="d")(i)
o = L.Dense(2, name="fc")(L.LayerNormalization(axis=[1, 2], epsilon=1e-5, name="ln")(x))""",
        """self.d = nn.Linear(4, 5); self.ln = nn.LayerNorm((6, 5)); self.fc = nn.Linear(5, 2)""",
        """return self.fc(self.ln(self.d(x)))""",
    ),
    "an instance normalisation for groups of one channel": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(8, 3, name="c")(i)
x = L.GroupNormalization(-1, epsilon=1e-5, name="gn")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU()(x)))""",
        """self.c = nn.Conv2d(3, 8, 3); self.gn = nn.InstanceNorm2d(8, affine=True); self.fc = nn.Linear(8, 2)""",
        """return self.fc(F.relu(self.gn(self.c(x))).mean((2, 3)))""",
    ),
    "two towers of one array": pair(
        """i = keras.Input((6,)); j = keras.Input((6,))
d = L.Dense(5, activation="tanh", name="tower")
o = L.Dense(1, activation="sigmoid", name="fc")(L.Subtract(name="sub")([d(i), d(j)]))""",
        """self.tower = nn.Linear(6, 5); self.fc = nn.Linear(5, 1)""",
        """return self.fc(torch.tanh(self.tower(x)) - torch.tanh(self.tower(y)))""",
        gives='fill(keras.Model([i, j], o), 1)', takes='x, y',
    ),
    "six branches of 3x1 and 1x3": pair(
        """i = keras.Input((8, 8, 4))
sizes = [(1, 3), (3, 1)] * 3
x = L.Concatenate()([L.Conv2D(4, size, padding="same", name=f"c{n}")(i) for n, size in enumerate(sizes)])
o = L.Conv2D(2, 1, name="out")(x)""",
        """sizes = [(3, 1), (1, 3)] * 3
self.m = nn.ModuleList(nn.Conv2d(4, 4, size, padding=(size[0] // 2, size[1] // 2)) for size in sizes)
self.out = nn.Conv2d(24, 2, 1)""",
        """return self.out(torch.cat([one(x) for one in self.m][::-1], 1))""",
    ),
    "seven branches of one shape": pair(
        """i = keras.Input((8, 8, 4))
o = L.Concatenate()([L.Conv2D(4, 3, padding="same", name=f"c{n}")(i) for n in range(7)])
o = L.Conv2D(2, 1, name="out")(o)""",
        """self.m = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(7))
self.out = nn.Conv2d(28, 2, 1)""",
        """return self.out(torch.cat([self.m[n](x) for n in range(7)][::-1], 1))""",
    ),
    "constants that Keras keeps in float32": pair(
        """i = keras.Input((8, 8, 3))
x = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.1, 1.2, 1.3], name="norm")(i)
o = L.Conv2D(2, 3, name="out")(x)""",
        """self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).reshape(-1, 1, 1))
self.register_buffer("variance", torch.tensor([1.1, 1.2, 1.3]).reshape(-1, 1, 1))
self.out = nn.Conv2d(3, 2, 3)""",
        """return self.out((x - self.mean) / self.variance.sqrt())""",
    ),
    "branches of one shape in another order": pair(
        """i = keras.Input((8, 8, 4))
a = L.Conv2D(4, 3, padding="same", activation="relu", name="c1")(i)
b = L.Conv2D(4, 3, padding="same", name="c2")(i)
x = L.Add(name="sum")([a, b])
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.first = nn.Conv2d(4, 4, 3, padding=1); self.second = nn.Conv2d(4, 4, 3, padding=1); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(self.first(x) + F.relu(self.second(x)))""",
    ),
    "a normalisation behind a flattened map": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, activation="relu", name="c")(i)
x = L.Flatten(name="flat")(x)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Dense(2, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm1d(64); self.out = nn.Linear(64, 2)""",
        """return self.out(self.bn(F.relu(self.c(x)).flatten(1)))""",
    ),
    "products and biases without a module": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.w1 = nn.Parameter(torch.zeros(6, 5)); self.b1 = nn.Parameter(torch.zeros(5)); self.w2 = nn.Parameter(torch.zeros(5, 2)); self.b2 = nn.Parameter(torch.zeros(2))""",
        """return F.relu(x @ self.w1 + self.b1) @ self.w2 + self.b2""",
    ),
    "addmm": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.w1 = nn.Parameter(torch.zeros(6, 5)); self.b1 = nn.Parameter(torch.zeros(5)); self.w2 = nn.Parameter(torch.zeros(5, 2)); self.b2 = nn.Parameter(torch.zeros(2))""",
        """return torch.addmm(self.b2, F.relu(torch.addmm(self.b1, x, self.w1)), self.w2)""",
    ),
    "einsum": pair(
        """i = keras.Input((6, 4))
x = L.EinsumDense("btf,fg->btg", (6, 5), bias_axes="g", activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.w1 = nn.Parameter(torch.zeros(4, 5)); self.b1 = nn.Parameter(torch.zeros(5)); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(torch.einsum('btf,fg->btg', x, self.w1) + self.b1))""",
    ),
    "a separable convolution in two modules": pair(
        """i = keras.Input((9, 9, 3))
x = L.SeparableConv2D(6, 3, strides=1, dilation_rate=2, depth_multiplier=2, padding="same", name="sep")(i)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.d = nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3, bias=False); self.p = nn.Conv2d(6, 6, 1); self.out = nn.Conv2d(6, 2, 1)""",
        """return self.out(self.p(self.d(x)))""",
    ),
    "a decoder that begins with an encoder's state": pair(
        """i = keras.Input((5, 4)); j = keras.Input((3, 4))
_, h, c = L.LSTM(6, return_state=True, name="enc")(i)
x = L.LSTM(6, return_sequences=True, name="dec")(j, initial_state=[h, c])
o = L.Dense(2, name="fc")(x)""",
        """self.enc = nn.LSTM(4, 6, batch_first=True); self.dec = nn.LSTM(4, 6, batch_first=True); self.fc = nn.Linear(6, 2)
for m in (self.enc, self.dec): m.bias_hh_l0.requires_grad_(False)""",
        """s = self.enc(x)[1]
return self.fc(self.dec(y, s)[0])""",
        gives='fill(keras.Model([i, j], o), 1)', takes='x, y',
    ),
    "a sequence read backwards": pair(
        """i = keras.Input((5, 4))
x = L.LSTM(6, go_backwards=True, name="a")(i)
o = L.Dense(2, name="fc")(x)""",
        """self.enc = nn.LSTM(4, 6, batch_first=True); self.fc = nn.Linear(6, 2)
self.enc.bias_hh_l0.requires_grad_(False)""",
        """return self.fc(self.enc(x.flip(1))[0][:, -1])""",
    ),
    "a layer for each time step": pair(
        """i = keras.Input((3, 8, 8, 2))
x = L.TimeDistributed(L.Conv2D(4, 3, activation="relu"), name="td")(i)
x = L.TimeDistributed(L.GlobalAveragePooling2D(), name="gap")(x)
o = L.Dense(2, name="fc")(L.GRU(3, name="gru")(x))""",
        """self.c = nn.Conv2d(2, 4, 3); self.gru = nn.GRU(4, 3, batch_first=True); self.fc = nn.Linear(3, 2)""",
        """x = x.permute(0, 2, 1, 3, 4)
n, t = x.shape[:2]
x = F.relu(self.c(x.flatten(0, 1))).mean((2, 3)).unflatten(0, (n, t))
return self.fc(self.gru(x)[1][0])""",
    ),
    "an output that reads the embedding": pair(
        TIED,
        """self.emb = nn.Embedding(9, 6); self.body = nn.Linear(6, 6)
self.head = nn.Linear(6, 9, bias=False); self.head.weight = self.emb.weight""",
        """return self.head(torch.tanh(self.body(self.emb(x))))""",
        shape='5',
    ),
    "a model written as a class": pair(
        WRITTEN,
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.bn = nn.BatchNorm2d(4, eps=1e-3); self.drop = nn.Dropout(0.2); self.fc = nn.Linear(4, 3)""",
        """return self.fc(self.drop(F.relu(self.bn(self.c(x))).mean((2, 3))))""",
        shape='8x8x3',
    ),
    "a scale of a layer's own": pair(
        SCALED,
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.dw = nn.Conv2d(4, 4, 5, padding=2, groups=4); self.ln = nn.LayerNorm(4, eps=1e-6); self.up = nn.Linear(4, 16); self.down = nn.Linear(16, 4); self.ls = nn.Parameter(torch.ones(4, 1, 1)); self.fc = nn.Linear(4, 3)""",
        """x = self.c(x)
y = self.ln(self.dw(x).permute(0, 2, 3, 1))
y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
return self.fc((x + self.ls * y).mean((2, 3)))""",
    ),
    "outputs with names": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="tanh", name="body")(i)
a = L.Dense(2, name="mean")(x)
b = L.Dense(2, activation="softplus", name="spread")(x)""",
        """self.body = nn.Linear(6, 5); self.mean = nn.Linear(5, 2); self.spread = nn.Linear(5, 2)""",
        """x = torch.tanh(self.body(x))
return {"spread": F.softplus(self.spread(x)), "mean": self.mean(x)}""",
        gives='fill(keras.Model(i, {"mean": a, "spread": b}), 1)',
    ),
    "a causal mask": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i, use_causal_mask=True))""",
        """self.att = nn.MultiheadAttention(8, 2, batch_first=True)
self.fc = nn.Linear(8, 2)""",
        """m = torch.ones(6, 6, dtype=torch.bool).triu(1)
return self.fc(self.att(x, x, x, attn_mask=m)[0])""",
    ),
    "pooling that keeps the border": pair(
        """i = keras.Input((7, 7, 3))
x = L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i)
x = L.MaxPooling2D(2, padding="same", name="pool")(x)
o = L.Dense(2, name="fc")(L.Flatten()(x))""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.fc = nn.Linear(64, 2)""",
        """return self.fc(F.max_pool2d(F.relu(self.c(x)), 2, ceil_mode=True).flatten(1))""",
    ),
    "logarithms of probabilities": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(3, activation="softmax", name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 3)""",
        """return F.log_softmax(self.out(F.relu(self.d(x))), -1)""",
    ),
    "Nesterov's momentum": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)', optimizer='torch.optim.SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True)',
    ),
    "decoupled weight decay": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.AdamW(1e-3, weight_decay=0.01)', optimizer='torch.optim.AdamW(m.parameters(), 1e-3, eps=1e-7, weight_decay=0.01)',
    ),
    "dropout inside a stack": pair(
        """i = keras.Input((5, 4))
x = L.LSTM(6, return_sequences=True, name="a")(i)
x = L.Dropout(0.3, name="drop")(x)
x = L.LSTM(6, name="b")(x)
o = L.Dense(2, name="fc")(x)""",
        """self.enc = nn.LSTM(4, 6, 2, batch_first=True, dropout=0.3); self.fc = nn.Linear(6, 2)
self.enc.bias_hh_l0.requires_grad_(False); self.enc.bias_hh_l1.requires_grad_(False)""",
        """return self.fc(self.enc(x)[0][:, -1])""",
    ),
}  # fmt: skip
