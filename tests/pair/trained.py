# ruff: noqa: E501  # a module is a line or two
"""Small networks with one mistake that only training shows, and right ones that train in other words."""

from tests.pair.short import pair

TRAINED_WRONG = {
    "Adam's decay in the gradient, not apart from it": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3, weight_decay=0.01)', optimizer='torch.optim.Adam(m.parameters(), 1e-3, eps=1e-7, weight_decay=0.01)', finds=('weight-decay', 'd1'),
    ),
    "SGD's decay with momentum, in the gradient": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01)', optimizer='torch.optim.SGD(m.parameters(), 0.1, momentum=0.9, weight_decay=0.01)', finds=('weight-decay', 'd1'),
    ),
    "a penalty as a decay apart from the gradient": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L2(0.005), name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3)', optimizer="torch.optim.AdamW([{'params': [m.d.weight], 'weight_decay': 0.01}, {'params': [m.d.bias, *m.out.parameters()], 'weight_decay': 0.0}], 1e-3, eps=1e-7)", finds=('weight-decay', 'd1'),
    ),
    "a penalty of kernels as a decay of biases, too": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L2(0.005), name="d1")(i)
o = L.Dense(2, kernel_regularizer=keras.regularizers.L2(0.005), name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.SGD(1e-1)', optimizer='torch.optim.SGD(m.parameters(), 1e-1, weight_decay=0.01)', finds=('weight-decay', 'd1'),
    ),
    "no AMSGrad": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3, amsgrad=True)', optimizer='torch.optim.Adam(m.parameters(), 1e-3, eps=1e-7)', finds=('optimizer', ''),
    ),
    "RMSprop that isn't centred": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.RMSprop(1e-3, centered=True)', optimizer='torch.optim.RMSprop(m.parameters(), 1e-3, alpha=0.9, eps=1e-7)', finds=('optimizer', ''),
    ),
    "momentum that is dampened": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.SGD(1e-2, momentum=0.9)', optimizer='torch.optim.SGD(m.parameters(), 1e-2, momentum=0.9, dampening=0.5)', finds=('optimizer', ''),
    ),
    "a group with a learning rate of its own": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3)', optimizer="torch.optim.Adam([{'params': m.d.parameters(), 'lr': 1e-4}, {'params': m.out.parameters()}], 1e-3, eps=1e-7)", finds=('optimizer', ''),
    ),
    "a constraint that only Keras has": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", kernel_constraint=keras.constraints.MaxNorm(0.5), name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        finds=('optimizer', 'd1'),
    ),
    "a gradient that is cut off": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)).detach())""",
        finds=('extra-parameter', 'd1'),
    ),
    "a row of an embedding that PyTorch never trains": pair(
        """i = keras.Input((6,), dtype="int32")
o = L.Dense(2, name="out")(L.Embedding(4, 4, name="emb")(i))""",
        """self.e = nn.Embedding(4, 4, padding_idx=0); self.out = nn.Linear(4, 2)""",
        """return self.out(self.e(x))""",
        finds=('extra-parameter', 'emb'),
    ),
    "dropout behind another layer": pair(
        """i = keras.Input((6,))
x = L.Dropout(0.3, name="drop")(L.Dense(5, activation="relu", name="d1")(i))
x = L.Dense(5, activation="relu", name="d2")(x)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.e = nn.Linear(5, 5); self.drop = nn.Dropout(0.3); self.out = nn.Linear(5, 2)""",
        """return self.out(self.drop(F.relu(self.e(F.relu(self.d(x))))))""",
        finds=('dropout-rate', 'drop'),
    ),
    "dropout behind a sum, not before it": pair(
        """i = keras.Input((6,))
d = L.Dense(6, activation="relu", name="d1")(i)
x = L.Add(name="sum")([i, L.Dropout(0.2, name="drop")(d)])
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 6); self.drop = nn.Dropout(0.2); self.out = nn.Linear(6, 2)""",
        """return self.out(self.drop(x + F.relu(self.d(x))))""",
        finds=('dropout-rate', 'drop'),
    ),
    "a normalisation left in evaluation": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU(name="act")(x)))""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4); self.fc = nn.Linear(4, 2)""",
        """self.bn.eval()
return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))""",
        finds=('variance-rule', 'bn'),
    ),
    "a mean over all batches for moving statistics": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU(name="act")(x)))""",
        """self.c = nn.Conv2d(3, 4, 3); self.bn = nn.BatchNorm2d(4, momentum=None); self.fc = nn.Linear(4, 2)""",
        """return self.fc(F.relu(self.bn(self.c(x))).mean((2, 3)))""",
        finds=('decay', 'bn'),
    ),
    "dropout inside a layer of attention": pair(
        """i = keras.Input((6, 8)); j = keras.Input((4, 8))
o = L.Dense(2, name="fc")(L.Attention(dropout=0.2, name="att")([i, j]))""",
        """self.fc = nn.Linear(8, 2)""",
        """s = (x @ y.transpose(1, 2)).softmax(-1)
return self.fc(s @ y)""",
        gives="fill(keras.Model([i, j], o), 1)", takes="x, y", finds=("dropout-rate", "att"),
    ),
}  # fmt: skip
TRAINED_RIGHT = {
    "Keras's Adam with a decay, as AdamW": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3, weight_decay=0.01)', optimizer='torch.optim.AdamW(m.parameters(), 1e-3, eps=1e-7, weight_decay=0.01)',
    ),
    "AdamW without a decay, as Adam": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.AdamW(1e-3, weight_decay=0.0)', optimizer='torch.optim.Adam(m.parameters(), 1e-3, eps=1e-7)',
    ),
    "biases that aren't decayed": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1); opt = keras.optimizers.AdamW(1e-3, weight_decay=0.01); opt.exclude_from_weight_decay(var_names=["bias"])""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, opt', optimizer="torch.optim.AdamW([{'params': [m.d.weight, m.out.weight], 'weight_decay': 0.01}, {'params': [m.d.bias, m.out.bias], 'weight_decay': 0.0}], 1e-3, eps=1e-7)",
    ),
    "a penalty, as a decay in the gradient": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L2(0.005), name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m, keras.optimizers.Adam(1e-3)', optimizer="torch.optim.Adam([{'params': [m.d.weight], 'weight_decay': 0.01}, {'params': [m.d.bias, *m.out.parameters()]}], 1e-3, eps=1e-7)",
    ),
    "dropout before an activation, not behind it": pair(
        """i = keras.Input((6,))
x = L.Dropout(0.3, name="drop")(L.Dense(5, activation="relu", name="d1")(i))
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(6, 5); self.drop = nn.Dropout(0.3); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.drop(self.d(x))))""",
    ),
    "dropout of channels before a flattened map, of values behind it": pair(
        """i = keras.Input((6, 6, 3))
x = L.SpatialDropout2D(0.1, name="d1")(L.Conv2D(4, 3, activation="relu", name="c")(i))
x = L.Flatten()(x); x = L.Dropout(0.5, name="d2")(x)
o = L.Dense(2, name="out")(x)""",
        """self.c = nn.Conv2d(3, 4, 3); self.d1 = nn.Dropout2d(0.1); self.d2 = nn.Dropout(0.5); self.out = nn.Linear(64, 2)""",
        """return self.out(self.d2(self.d1(F.relu(self.c(x))).flatten(1)))""",
    ),
    "a loss that is added up": pair(
        """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1); m.compile("adam", keras.losses.MeanSquaredError(reduction="sum"))""",
        """self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)""",
        """return self.out(F.relu(self.d(x)))""",
        gives='m',
    ),
    "vectors of length one": pair(
        """i = keras.Input((6, 4))
x = L.UnitNormalization(name="un")(L.Dense(4, name="d")(i))
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(4, 4); self.out = nn.Linear(4, 2)""",
        """return self.out(F.normalize(self.d(x), dim=-1))""",
    ),
    "a flattened map as high as it has channels": pair(
        """i = keras.Input((4, 4, 3))
x = L.Conv2D(4, 3, padding="same", activation="relu", name="c")(i)
o = L.Dense(2, name="out")(L.Flatten(name="flat")(x))""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.out = nn.Linear(64, 2)""",
        """return self.out(F.relu(self.c(x)).flatten(1))""",
    ),
    "a normalisation over the steps": pair(
        """i = keras.Input((6, 4))
x = L.Dense(4, name="d")(i)
x = L.LayerNormalization(axis=1, epsilon=1e-5, name="ln")(x)
o = L.Dense(2, name="out")(x)""",
        """self.d = nn.Linear(4, 4); self.ln = nn.LayerNorm(6); self.out = nn.Linear(4, 2)""",
        """return self.out(self.ln(self.d(x).transpose(1, 2)).transpose(1, 2))""",
    ),
    "queries, keys and values in one array, head by head": pair(
        """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i))""",
        """self.qkv = nn.Linear(8, 24); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)""",
        """q, k, v = self.qkv(x).unflatten(-1, (2, 3, 4)).permute(3, 0, 2, 1, 4)
return self.fc(self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))""",
    ),
    "a gate of two products, not convolutions": pair(
        """i = keras.Input((6, 6, 3))
x = L.Conv2D(4, 3, activation="relu", name="c")(i)
s = L.GlobalAveragePooling2D(keepdims=True)(x)
s = L.Conv2D(2, 1, activation="relu", name="down")(s); s = L.Conv2D(4, 1, activation="sigmoid", name="upc")(s)
o = L.Conv2D(2, 1, name="out")(L.Multiply(name="se")([x, s]))""",
        """self.c = nn.Conv2d(3, 4, 3); self.a = nn.Linear(4, 2); self.b = nn.Linear(2, 4); self.out = nn.Conv2d(4, 2, 1)""",
        """x = F.relu(self.c(x))
s = torch.sigmoid(self.b(F.relu(self.a(x.mean((2, 3))))))
return self.out(x * s[:, :, None, None])""",
    ),
    "a normalisation of a map as high as it has channels": pair(
        """i = keras.Input((4, 4, 3))
x = L.Conv2D(4, 3, padding="same", name="c")(i)
x = L.LayerNormalization(axis=[1, 2, 3], epsilon=1e-5, name="ln")(x)
o = L.Dense(2, name="fc")(L.GlobalAveragePooling2D()(L.ReLU()(x)))""",
        """self.c = nn.Conv2d(3, 4, 3, padding=1); self.ln = nn.LayerNorm([4, 4, 4]); self.fc = nn.Linear(4, 2)""",
        """return self.fc(F.relu(self.ln(self.c(x))).mean((2, 3)))""",
    ),
}  # fmt: skip
