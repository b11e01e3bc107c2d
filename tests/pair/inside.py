# ruff: noqa: E501  # a module is a line or two
"""Small networks with one mistake inside a layer or between two, and what must be found where."""

from tests.pair.short import pair

INSIDE = {
    "a causal mask that only Keras has": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i, use_causal_mask=True))""",
        """self.att = nn.MultiheadAttention(8, 2, batch_first=True); self.fc = nn.Linear(8, 2)""",
        """return self.fc(self.att(x, x, x)[0])""",
        finds=('missing-layer', 'mha'),
    ),
    "a causal mask that only PyTorch has": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i))""",
        """self.att = nn.MultiheadAttention(8, 2, batch_first=True); self.fc = nn.Linear(8, 2)""",
        """m = torch.ones(6, 6, dtype=torch.bool).triu(1)
return self.fc(self.att(x, x, x, attn_mask=m)[0])""",
        finds=('extra-layer', 'mha'),
    ),
    "a causal mask left out where attention is written out": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i, use_causal_mask=True))""",
        """self.q = nn.Linear(8, 8); self.k = nn.Linear(8, 8); self.v = nn.Linear(8, 8); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)""",
        """h = lambda y: y.unflatten(-1, (2, 4)).transpose(1, 2)
s = (h(self.q(x)) @ h(self.k(x)).transpose(-1, -2) / 2).softmax(-1)
return self.fc(self.o((s @ h(self.v(x))).transpose(1, 2).flatten(2)))""",
        finds=('missing-layer', 'mha'),
    ),
    "scores filled in PyTorch alone": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i))""",
        """self.q = nn.Linear(8, 8); self.k = nn.Linear(8, 8); self.v = nn.Linear(8, 8); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)""",
        """h = lambda y: y.unflatten(-1, (2, 4)).transpose(1, 2)
s = h(self.q(x)) @ h(self.k(x)).transpose(-1, -2) / 2
s = s.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(1), float("-inf")).softmax(-1)
return self.fc(self.o((s @ h(self.v(x))).transpose(1, 2).flatten(2)))""",
        finds=('extra-layer', 'mha'),
    ),
    "padding that attention looks at": pair(
        """i = keras.Input((6,), dtype="int32")
x = L.Embedding(5, 8, mask_zero=True, name="emb")(i)
x = L.MultiHeadAttention(2, 4, name="mha")(x, x)
o = L.Dense(2, name="fc")(x)""",
        """self.emb = nn.Embedding(5, 8); self.att = nn.MultiheadAttention(8, 2, batch_first=True); self.fc = nn.Linear(8, 2)""",
        """x = self.emb(x)
return self.fc(self.att(x, x, x)[0])""",
        finds=('missing-layer', 'mha'),
    ),
    "padding that is counted in a mean": pair(
        """i = keras.Input((6,), dtype="int32")
x = L.Embedding(5, 4, mask_zero=True, name="emb")(i)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling1D(name="gap")(x))""",
        """self.emb = nn.Embedding(5, 4); self.fc = nn.Linear(4, 2)""",
        """return self.fc(self.emb(x).mean(1))""",
        finds=('missing-layer', 'gap'),
    ),
    "padding that both directions read": pair(
        """i = keras.Input((6,), dtype="int32")
x = L.Embedding(5, 4, mask_zero=True, name="emb")(i)
x = L.Bidirectional(L.LSTM(3), name="both")(x)
o = L.Dense(2, name="fc")(x)""",
        """self.e = nn.Embedding(5, 4); self.r = nn.LSTM(4, 3, batch_first=True, bidirectional=True); self.fc = nn.Linear(6, 2)
self.r.bias_hh_l0.requires_grad_(False); self.r.bias_hh_l0_reverse.requires_grad_(False)""",
        """h = self.r(self.e(x))[1][0]
return self.fc(torch.cat([h[0], h[1]], -1))""",
        finds=('missing-layer', 'both'),
    ),
    "another number of heads": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i))""",
        """self.att = nn.MultiheadAttention(8, 4, batch_first=True); self.fc = nn.Linear(8, 2)""",
        """return self.fc(self.att(x, x, x)[0])""",
        finds=('unknown', 'mha'),
    ),
    "another number of heads, written out": pair(
        """i = keras.Input((6, 8))
x = L.LayerNormalization(epsilon=1e-6, name="ln")(i)
x = L.Add(name="sum")([i, L.MultiHeadAttention(2, 4, name="mha")(x, x)])
o = L.Dense(2, name="fc")(x)""",
        """self.ln = nn.LayerNorm(8, eps=1e-6); self.q = nn.Linear(8, 8); self.k = nn.Linear(8, 8); self.v = nn.Linear(8, 8); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)""",
        """y = self.ln(x)
h = lambda y: y.unflatten(-1, (4, 2)).transpose(1, 2)
y = F.scaled_dot_product_attention(h(self.q(y)), h(self.k(y)), h(self.v(y)))
return self.fc(x + self.o(y.transpose(1, 2).flatten(2)))""",
        finds=('unknown', 'mha'),
    ),
    "values from before the normalisation": pair(
        """i = keras.Input((6, 8))
x = L.LayerNormalization(epsilon=1e-6, name="ln")(i)
x = L.Add(name="sum")([i, L.MultiHeadAttention(2, 4, name="mha")(x, x)])
o = L.Dense(2, name="fc")(x)""",
        """self.ln = nn.LayerNorm(8, eps=1e-6); self.q = nn.Linear(8, 8); self.k = nn.Linear(8, 8); self.v = nn.Linear(8, 8); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)""",
        """y = self.ln(x)
h = lambda y: y.unflatten(-1, (2, 4)).transpose(1, 2)
y = F.scaled_dot_product_attention(h(self.q(y)), h(self.k(y)), h(self.v(x)))
return self.fc(x + self.o(y.transpose(1, 2).flatten(2)))""",
        finds=('unknown', 'mha'),
    ),
    "a difference the other way round": pair(
        """i = keras.Input((6,))
a = L.Dense(5, activation="tanh", name="a")(i); b = L.Dense(5, activation="relu", name="b")(i)
o = L.Dense(1, name="fc")(L.Subtract(name="sub")([a, b]))""",
        """self.a = nn.Linear(6, 5); self.b = nn.Linear(6, 5); self.fc = nn.Linear(5, 1)""",
        """return self.fc(F.relu(self.b(x)) - torch.tanh(self.a(x)))""",
        finds=('scale', 'sub'),
    ),
    "two vectors joined in the other order": pair(
        """i = keras.Input((6,))
a = L.Dense(5, activation="tanh", name="a")(i); b = L.Dense(5, activation="relu", name="b")(i)
o = L.Dense(1, name="fc")(L.Concatenate(name="join")([a, b]))""",
        """self.a = nn.Linear(6, 5); self.b = nn.Linear(6, 5); self.fc = nn.Linear(10, 1)""",
        """return self.fc(torch.cat([F.relu(self.b(x)), torch.tanh(self.a(x))], -1))""",
        finds=('unknown', 'join'),
    ),
    "a sum where Keras has a product": pair(
        """i = keras.Input((6,))
a = L.Dense(5, activation="tanh", name="a")(i); b = L.Dense(5, activation="relu", name="b")(i)
o = L.Dense(1, name="fc")(L.Multiply(name="gate")([a, b]))""",
        """self.a = nn.Linear(6, 5); self.b = nn.Linear(6, 5); self.fc = nn.Linear(5, 1)""",
        """return self.fc(F.relu(self.b(x)) + torch.tanh(self.a(x)))""",
        finds=('unknown', 'gate'),
    ),
    "a sum where Keras has a mean": pair(
        """i = keras.Input((6,))
a = L.Dense(5, activation="tanh", name="a")(i); b = L.Dense(5, activation="relu", name="b")(i)
o = L.Dense(1, name="fc")(L.Average(name="avg")([a, b]))""",
        """self.a = nn.Linear(6, 5); self.b = nn.Linear(6, 5); self.fc = nn.Linear(5, 1)""",
        """return self.fc(F.relu(self.b(x)) + torch.tanh(self.a(x)))""",
        finds=('scale', 'avg'),
    ),
    "a branch that is scaled in Keras alone": pair(
        """i = keras.Input((6,))
x = L.Dense(6, activation="relu", name="d1")(i)
x = L.Add(name="sum")([i, L.Rescaling(0.3, name="sc")(x)])
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 6); self.out = nn.Linear(6, 2)""",
        """return self.out(x + F.relu(self.d(x)))""",
        finds=('scale', 'sc'),
    ),
    "an activation before a sum, not behind it": pair(
        """i = keras.Input((6,))
x = L.Dense(6, name="d1")(i)
x = L.ReLU(name="act")(L.Add(name="sum")([i, x]))
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 6); self.out = nn.Linear(6, 2)""",
        """return self.out(x + F.relu(self.d(x)))""",
        finds=('activation', 'sum'),
    ),
    "the first step where Keras has the last": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.GRU(5, name="gru")(i))""",
        """self.rnn = nn.GRU(4, 5, batch_first=True); self.fc = nn.Linear(5, 2)""",
        """return self.fc(self.rnn(x)[0][:, 0])""",
        finds=('unknown', 'fc'),
    ),
    "the batch taken for the steps": pair(
        """i = keras.Input((4, 4))
o = L.Dense(2, name="fc")(L.GRU(5, return_sequences=True, name="gru")(i))""",
        """self.rnn = nn.GRU(4, 5); self.fc = nn.Linear(5, 2)""",
        """return self.fc(self.rnn(x)[0])""",
        finds=('axis', 'gru'),
    ),
    "a written-out GRU that resets behind the product": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.GRU(5, reset_after=False, name="gru")(i))""",
        """self.x2h = nn.Linear(4, 15); self.h2h = nn.Linear(5, 15, bias=False); self.fc = nn.Linear(5, 2)""",
        """h = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    a, b = self.x2h(x[:, t]).chunk(3, 1), self.h2h(h).chunk(3, 1)
    r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
    h = z * h + (1 - z) * torch.tanh(a[2] + r * b[2])
return self.fc(h)""",
        finds=('reset-after', 'gru'),
    ),
    "a written-out GRU that keeps what Keras replaces": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.GRU(5, name="gru")(i))""",
        """self.x2h = nn.Linear(4, 15); self.h2h = nn.Linear(5, 15); self.fc = nn.Linear(5, 2)""",
        """h = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    a, b = self.x2h(x[:, t]).chunk(3, 1), self.h2h(h).chunk(3, 1)
    z, r = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
    h = (1 - z) * h + z * torch.tanh(a[2] + r * b[2])
return self.fc(h)""",
        finds=('gate-order', 'gru'),
    ),
    "a written-out LSTM with two gates exchanged": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, name="lstm")(i))""",
        """self.x2h = nn.Linear(4, 20); self.h2h = nn.Linear(5, 20, bias=False); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    i, f, o, g = (self.x2h(x[:, t]) + self.h2h(h)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h)""",
        finds=('gate-order', 'lstm'),
    ),
    "a written-out LSTM with other gates' functions": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, recurrent_activation="hard_sigmoid", name="lstm")(i))""",
        """self.x2h = nn.Linear(4, 20); self.h2h = nn.Linear(5, 20, bias=False); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    i, f, g, o = (self.x2h(x[:, t]) + self.h2h(h)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h)""",
        finds=('activation', 'lstm'),
    ),
    "a cell in a loop with other gates' functions": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, recurrent_activation="hard_sigmoid", name="lstm")(i))""",
        """self.c = nn.LSTMCell(4, 5); self.c.bias_hh.requires_grad_(False); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]): h, c = self.c(x[:, t], (h, c))
return self.fc(h)""",
        finds=('activation', 'lstm'),
    ),
    "a written-out LSTM that adds one to a gate": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.LSTM(5, name="lstm")(i))""",
        """self.x2h = nn.Linear(4, 20); self.h2h = nn.Linear(5, 20, bias=False); self.fc = nn.Linear(5, 2)""",
        """h = c = x.new_zeros(len(x), 5)
for t in range(x.shape[1]):
    i, f, g, o = (self.x2h(x[:, t]) + self.h2h(h)).chunk(4, 1)
    c = (f + 1.0).sigmoid() * c + i.sigmoid() * g.tanh(); h = o.sigmoid() * c.tanh()
return self.fc(h)""",
        finds=('bias', 'lstm'),
    ),
    "a mean taken off where Keras takes none": pair(
        """i = keras.Input((6, 4))
x = L.Dense(4, name="d")(i)
x = L.RMSNormalization(epsilon=1e-5, name="rms")(x)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(4, 4); self.ln = nn.LayerNorm(4, bias=False); self.out = nn.Linear(4, 2)""",
        """return self.out(self.ln(self.d(x)))""",
        finds=('variance-rule', 'rms'),
    ),
    "a normalisation that keeps no statistics": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU(name="act")(x)))""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4, track_running_stats=False); self.fc = nn.Linear(4, 2)""",
        """return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))""",
        finds=('variance-rule', 'bn'),
    ),
    "vectors of length one along another axis": pair(
        """i = keras.Input((6, 4))
x = L.UnitNormalization(name="un")(L.Dense(4, name="d")(i))
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(4, 4); self.out = nn.Linear(4, 2)""",
        """return self.out(F.normalize(self.d(x), dim=1))""",
        finds=('axis', 'un'),
    ),
    "rows of an embedding cut to a length": pair(
        """i = keras.Input((6,), dtype="int32")
o = L.Dense(2, name="out")(L.Embedding(4, 4, name="emb")(i))""",
        """self.e = nn.Embedding(4, 4, max_norm=0.5); self.out = nn.Linear(4, 2)""",
        """return self.out(self.e(x))""",
        finds=('scale', 'emb'),
    ),
    "a standardised input in PyTorch alone": pair(
        """i = keras.Input((6, 6, 3))
o = L.Conv2D(2, 3, name="out")(i)""",
        """self.out = nn.Conv2d(3, 2, 3)
self.register_buffer("m", torch.tensor([.5, .5, .5]).reshape(-1, 1, 1)); self.register_buffer("s", torch.tensor([.2, .2, .2]).reshape(-1, 1, 1))""",
        """return self.out((x - self.m) / self.s)""",
        finds=('input-scale', 'out'),
    ),
    "a sequence read backwards in PyTorch alone": pair(
        """i = keras.Input((5, 4))
o = L.Dense(2, name="fc")(L.GRU(6, name="a")(i))""",
        """self.enc = nn.GRU(4, 6, batch_first=True); self.fc = nn.Linear(6, 2)""",
        """return self.fc(self.enc(x.flip(1))[1][0])""",
        finds=('extra-layer', 'a'),
    ),
    "axes exchanged before a product": pair(
        """i = keras.Input((4, 4))
x = L.Dense(4, activation="tanh", name="d")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(4, 4); self.out = nn.Linear(4, 2)""",
        """return self.out(torch.tanh(self.d(x.transpose(1, 2)).transpose(1, 2)))""",
        finds=('axis', 'out'),
    ),
    "a mean with its border in the last of four branches": pair(
        """i = keras.Input((8, 8, 3))
x = L.ReLU()(L.Conv2D(4, 3, padding="same", name="c")(i))
parts = [L.ReLU()(L.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{n}")(L.Conv2D(4, 1, name=f"b{n}")(x))) for n in range(3)]
parts.append(L.Conv2D(4, 1, name="last")(L.AveragePooling2D(3, strides=1, padding="same", name="pool")(x)))
o = L.Conv2D(2, 1, name="out")(L.Concatenate(name="join")(parts))""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.b = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(3)); self.last = nn.Conv2d(4, 4, 1); self.out = nn.Conv2d(16, 2, 1)""",
        """x = F.relu(self.c(x))
return self.out(torch.cat([*(b(x) for b in self.b), self.last(F.avg_pool2d(x, 3, 1, 1))], 1))""",
        finds=('pooling', 'pool'),
    ),
    "scores that PyTorch scales alone": pair(
        """i = keras.Input((6, 8)); j = keras.Input((4, 8))
o = L.Dense(2, name="fc")(L.Attention(name="att")([i, j]))""",
        """self.fc = nn.Linear(8, 2)""",
        """return self.fc(F.scaled_dot_product_attention(x, y, y))""",
        gives="fill(keras.Model([i, j], o), 1)", takes="x, y", finds=("scale", "att"),
    ),
    "a constant that is added in Keras alone": pair(
        """i = keras.Input((6, 4))
c = keras.ops.convert_to_tensor(np.sin(np.arange(24.0)).reshape(1, 6, 4))
x = L.Add(name="plus")([L.Dense(4, name="d")(i), c])
o = L.Dense(2, name="out")(L.Identity(name="after")(x))""",
        """self.d = nn.Linear(4, 4); self.out = nn.Linear(4, 2)""",
        """return self.out(self.d(x))""",
        finds=("missing-layer", "plus"),
    ),
    "a normalisation without gamma and beta": pair(
        """i = keras.Input((6, 6, 3))
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(L.Conv2D(4, 3, name="c")(i))
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU()(x)))""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4, affine=False); self.fc = nn.Linear(4, 2)""",
        """return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))""",
        finds=("extra-parameter", "bn"),
    ),
}  # fmt: skip
