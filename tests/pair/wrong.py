# ruff: noqa: E501  # a module is a line or two
"""Small networks with one mistake each, and what must be found where."""

from tests.pair.right import TIED
from tests.pair.short import pair

WRONG = {
    "the last step of both directions": pair(
        """i = keras.Input((6, 4))
o = L.Dense(2, name="fc")(L.Bidirectional(L.LSTM(5), name="both")(i))""",
        """self.rnn = nn.LSTM(4, 5, batch_first=True, bidirectional=True)
self.rnn.bias_hh_l0.requires_grad_(False); self.rnn.bias_hh_l0_reverse.requires_grad_(False)
self.fc = nn.Linear(10, 2)""",
        """return self.fc(self.rnn(x)[0][:, -1])""",
        finds=('unknown', 'both'),
    ),
    "dropout that nobody switches off": pair(
        """i = keras.Input((6,))
x = L.Dropout(0.3, name="drop")(L.Dense(5, activation="relu", name="d1")(i))
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.dropout(F.relu(self.d(x)), 0.3))""",
        finds=("dropout-rate", ""),
    ),
    "a normalisation that learns in PyTorch alone": pair(
        """i = keras.Input((6, 4))
x = L.LayerNormalization(center=False, scale=False, epsilon=1e-5, name="ln")(i)
o = L.Dense(2, name="out")(x)""",
        """self.ln = nn.LayerNorm(4); self.out = nn.Linear(4, 2)""",
        """return self.out(self.ln(x))""",
        finds=("extra-parameter", "ln"),
    ),
    "a shortcut from behind the normalisation": pair(
        """i = keras.Input((5, 8))
x = L.LayerNormalization(epsilon=1e-5, name="ln1")(i)
x = L.Add(name="add")([i, L.Dense(8, activation="tanh", name="d")(x)])
o = L.Dense(3, name="fc")(x)""",
        """self.ln1 = nn.LayerNorm(8); self.d = nn.Linear(8, 8); self.fc = nn.Linear(8, 3)""",
        """x = self.ln1(x)
return self.fc(x + torch.tanh(self.d(x)))""",
        finds=("extra-layer", "add"),
    ),
    "steps that only Keras leaves out": pair(
        """i = keras.Input((6,), dtype="int32")
x = L.Embedding(5, 4, mask_zero=True, name="emb")(i)
o = L.Dense(2, name="fc")(L.LSTM(5, name="lstm")(x))""",
        """self.emb = nn.Embedding(5, 4)
self.rnn = nn.LSTM(4, 5, batch_first=True); self.rnn.bias_hh_l0.requires_grad_(False)
self.fc = nn.Linear(5, 2)""",
        """return self.fc(self.rnn(self.emb(x))[0][:, -1])""",
        finds=('missing-layer', 'lstm'),
    ),
    "another number of groups": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(8, 3, name="c")(i)
x = L.GroupNormalization(4, epsilon=1e-5, name="gn")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU()(x)))""",
        """self.c = nn.Conv2d(3, 8, 3); self.gn = nn.GroupNorm(2, 8); self.fc = nn.Linear(8, 2)""",
        """return self.fc(F.relu(self.gn(self.c(x))).mean((2, 3)))""",
        finds=('axis', 'gn'),
    ),
    "a normalisation over places, too": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(8, 3, name="c")(i)
x = L.LayerNormalization(epsilon=1e-6, name="ln")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU()(x)))""",
        """self.c = nn.Conv2d(3, 8, 3); self.ln = nn.GroupNorm(1, 8, eps=1e-6); self.fc = nn.Linear(8, 2)""",
        """return self.fc(F.relu(self.ln(self.c(x))).mean((2, 3)))""",
        finds=('axis', 'ln'),
    ),
    "two towers of two arrays": pair(
        """i = keras.Input((6,)); j = keras.Input((6,))
d = L.Dense(5, activation="tanh", name="tower")
o = L.Dense(1, activation="sigmoid", name="fc")(L.Subtract(name="sub")([d(i), d(j)]))""",
        """self.a = nn.Linear(6, 5); self.b = nn.Linear(6, 5); self.fc = nn.Linear(5, 1)""",
        """return self.fc(torch.tanh(self.a(x)) - torch.tanh(self.b(y)))""",
        gives='fill(keras.Model([i, j], o), 1)', takes='x, y', finds=('sharing', 'tower'),
    ),
    "outputs in another order": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="tanh", name="body")(i)
a = L.Dense(2, name="mean")(x)
b = L.Dense(2, activation="softplus", name="spread")(x)""",
        """self.body = nn.Linear(6, 5); self.mean = nn.Linear(5, 2); self.spread = nn.Linear(5, 2)""",
        """x = torch.tanh(self.body(x))
return F.softplus(self.spread(x)), self.mean(x)""",
        gives='fill(keras.Model(i, [a, b]), 1)', finds=('unknown', 'mean'),
    ),
    "inputs in another order": pair(
        """i = keras.Input((6,)); j = keras.Input((6,))
a = L.Dense(5, activation="tanh", name="left")(i)
b = L.Dense(4, activation="tanh", name="right")(j)
o = L.Dense(1, name="fc")(L.Concatenate(name="join")([a, b]))""",
        """self.left = nn.Linear(6, 5); self.right = nn.Linear(6, 4); self.fc = nn.Linear(9, 1)""",
        """return self.fc(torch.cat([torch.tanh(self.left(x)), torch.tanh(self.right(y))], 1))""",
        gives='fill(keras.Model([i, j], o), 1)', takes='y, x', finds=('unknown', 'left'),
    ),
    "an activation before the normalisation": pair(
        """i = keras.Input((8, 8, 4))
x = L.Conv2D(6, 3, name="c1")(i)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn1")(x)
x = L.ReLU(name="r1")(x)
o = L.Dense(2, name="out")(L.GlobalAveragePooling2D()(x))""",
        """self.c1 = nn.Conv2d(4, 6, 3); self.bn1 = nn.BatchNorm2d(6); self.out = nn.Linear(6, 2)""",
        """return self.out(self.bn1(F.relu(self.c1(x))).mean((2, 3)))""",
        finds=('activation', 'bn1'),
    ),
    "Keras's own leaky slope": pair(
        """i = keras.Input((6,))
x = L.Dense(5, name="d1")(i)
x = L.LeakyReLU(name="act")(x)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.leaky_relu(self.d(x), 0.2))""",
        finds=('activation', 'act'),
    ),
    "an activation written by a person": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation=lambda t: keras.activations.gelu(t, approximate=True), name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.gelu(self.d(x)))""",
        finds=('activation', 'd1'),
    ),
    "padding counted in a mean": pair(
        """i = keras.Input((8, 8, 3))
x = L.Conv2D(4, 3, padding="same", name="c")(i)
x = L.AveragePooling2D(3, strides=1, padding="same", name="pool")(x)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(F.avg_pool2d(self.c(x), 3, 1, 1))""",
        finds=('pooling', 'pool'),
    ),
    "shares along a width": pair(
        """i = keras.Input((8, 8, 3))
x = L.Conv2D(4, 3, padding="same", name="c")(i)
x = L.Softmax(name="soft")(x)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(self.c(x).softmax(-1))""",
        finds=('axis', 'soft'),
    ),
    "an L1 penalty": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L1(1e-3), name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        finds=('weight-decay', 'd1'),
    ),
    "a penalty of what a layer computes": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", activity_regularizer=keras.regularizers.L2(1e-2), name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        finds=('weight-decay', 'd1'),
    ),
    "Adam's own epsilon": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3)', optimizer='torch.optim.Adam(m.parameters(), 1e-3)', finds=('optimizer', ''),
    ),
    "no Nesterov": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)', optimizer='torch.optim.SGD(m.parameters(), 0.1, momentum=0.9)', finds=('optimizer', ''),
    ),
    "another decoupled decay": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.AdamW(1e-3, weight_decay=0.01)', optimizer='torch.optim.AdamW(m.parameters(), 1e-3, eps=1e-7, weight_decay=0.05)', finds=('weight-decay', 'd1'),
    ),
    "a parameter that the optimizer wasn't given": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3)', optimizer='torch.optim.Adam(m.out.parameters(), 1e-3, eps=1e-7)', finds=('optimizer', 'd1'),
    ),
    "a layer frozen in PyTorch": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)
self.d.requires_grad_(False)""",
        """return self.out(F.relu(self.d(x)))""",
        finds=('extra-parameter', 'd1'),
    ),
    "an activation more at the end": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return F.relu(self.out(F.relu(self.d(x))))""",
        finds=('activation', 'out'),
    ),
    "probabilities for logits": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(3, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 3)""",
        """return self.out(F.relu(self.d(x))).softmax(-1)""",
        finds=('activation', 'out'),
    ),
    "statistics frozen in Keras": pair(
        """i = keras.Input((8, 8, 3))
x = L.Conv2D(4, 3, name="c")(i)
b = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn"); b.trainable = False
x = L.ReLU()(b(x))
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(x))""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4); self.fc = nn.Linear(4, 2)""",
        """return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))""",
        finds=('variance-rule', 'bn'),
    ),
    "an output that doesn't read the embedding": pair(
        TIED,
        """self.emb = nn.Embedding(9, 6); self.body = nn.Linear(6, 6)
self.head = nn.Linear(6, 9, bias=False)""",
        """return self.head(torch.tanh(self.body(self.emb(x))))""",
        shape='5', finds=('sharing', ''),
    ),
    "dropout inside attention": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, dropout=0.1, name="mha")(i, i))""",
        """self.att = nn.MultiheadAttention(8, 2, batch_first=True)
self.fc = nn.Linear(8, 2)""",
        """return self.fc(self.att(x, x, x)[0])""",
        finds=('dropout-rate', 'mha'),
    ),
    "values dropped for channels": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.SpatialDropout2D(0.2, name="drop")(x)
o = L.Conv2D(2, 3, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3); self.drop = nn.Dropout(0.2); self.out = nn.Conv2d(4, 2, 3)""",
        """return self.out(self.drop(self.c(x)))""",
        finds=('dropout-rate', 'drop'),
    ),
    "a decoder that begins with zeros": pair(
        """i = keras.Input((5, 4)); j = keras.Input((3, 4))
_, h, c = L.LSTM(6, return_state=True, name="enc")(i)
x = L.LSTM(6, return_sequences=True, name="dec")(j, initial_state=[h, c])
o = L.Dense(2, name="fc")(x)""",
        """self.enc = nn.LSTM(4, 6, batch_first=True); self.dec = nn.LSTM(4, 6, batch_first=True); self.fc = nn.Linear(6, 2)
for m in (self.enc, self.dec): m.bias_hh_l0.requires_grad_(False)""",
        """s = self.enc(x)[1]
return self.fc(self.dec(y)[0])""",
        gives='fill(keras.Model([i, j], o), 1)', takes='x, y', finds=('unknown', 'dec'),
    ),
    "a sequence read forwards": pair(
        """i = keras.Input((5, 4))
x = L.LSTM(6, go_backwards=True, name="a")(i)
o = L.Dense(2, name="fc")(x)""",
        """self.enc = nn.LSTM(4, 6, batch_first=True); self.fc = nn.Linear(6, 2)
self.enc.bias_hh_l0.requires_grad_(False)""",
        """return self.fc(self.enc(x)[0][:, -1])""",
        finds=('missing-layer', 'a'),
    ),
    "a decay given as momentum": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4, momentum=0.9); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(self.bn(self.c(x)))""",
        finds=('decay', 'bn'),
    ),
    "a border that is mirrored": pair(
        """i = keras.Input((9, 9, 3))
x = L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect'); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(F.relu(self.c(x)))""",
        finds=('padding', 'c'),
    ),
    "a kernel turned round": pair(
        """i = keras.Input((9, 9, 3))
x = L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i)
o = L.Conv2D(2, 1, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.out = nn.Conv2d(4, 2, 1)""",
        """return self.out(F.relu(F.conv2d(x, self.c.weight.flip((2, 3)), self.c.bias, padding=1)))""",
        finds=('kernel-layout', 'c'),
    ),
    "a transposed convolution cut on the other side": pair(
        """i = keras.Input((5, 5, 3))
x = L.Conv2D(6, 3, padding="same", activation="relu", name="c")(i)
o = L.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)""",
        """self.c = nn.Conv2d(3, 6, 3, padding=1)
self.up = nn.ConvTranspose2d(6, 4, 3, 2, padding=1, output_padding=1)""",
        """return self.up(F.relu(self.c(x)))""",
        finds=('padding', 'up'),
    ),
}  # fmt: skip
