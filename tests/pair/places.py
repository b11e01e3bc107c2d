# ruff: noqa: E501  # a module is a line or two
"""Elements moved about, parts that are kept, gradients cut off, optimizers' settings: right ports and wrong ones."""

from tests.pair.short import pair

DEEP = """i = keras.Input((4, 6, 3))
x = L.Conv2D(12, 3, padding="same", name="c")(i)
x = L.Lambda(lambda t: keras.ops.depth_to_space(t, 2), name="d2s")(x)
o = L.Conv2D(2, 1, name="out")(x)"""
BY_HAND = """i = keras.Input((4, 6, 3))
x = L.Conv2D(12, 3, padding="same", name="c")(i)
x = L.Reshape((4, 6, 2, 2, 3))(x); x = L.Permute((1, 3, 2, 4, 5), name="d2s")(x); x = L.Reshape((8, 12, 3))(x)
o = L.Conv2D(2, 1, name="out")(x)"""
WIDE = """i = keras.Input((8, 4, 3))
x = L.Conv2D(3, 3, padding="same", name="c")(i)
x = L.Lambda(lambda t: keras.ops.space_to_depth(t, 2), name="s2d")(x)
o = L.Conv2D(2, 1, name="out")(x)"""
TO_SPACE = "self.c = nn.Conv2d(3, 12, 3, padding=1); self.out = nn.Conv2d(3, 2, 1)"
TO_DEPTH = "self.c = nn.Conv2d(3, 3, 3, padding=1); self.out = nn.Conv2d(12, 2, 1)"
SHUFFLED = "x = self.c(x)\nx = F.pixel_shuffle(x, 2)\nreturn self.out(x)"
UNSHUFFLED = "x = self.c(x)\nx = F.pixel_unshuffle(x, 2)\nreturn self.out(x)"
CUT = """i = keras.Input((8, 8, 3))
x = L.Conv2D(4, 3, name="c")(i)
x = L.Cropping2D(((1, 0), (0, 1)), name="crop")(x)
o = L.Conv2D(2, 1, name="out")(x)"""
TWO = "self.c = nn.Conv2d(3, 4, 3); self.out = nn.Conv2d(4, 2, 1)"
BRANCH = """i = keras.Input((6,))
x = L.Dense(5, activation="tanh", name="d1")(i)
y = L.Dense(5, activation="tanh", name="d2")(x)
o = L.Dense(2, name="out")(L.Add(name="sum")([x, y]))"""
STOPPED = BRANCH.replace('name="d2")(x)', 'name="d2")(L.Lambda(keras.ops.stop_gradient, name="stop")(x))')
THREE = "self.a = nn.Linear(6, 5); self.b = nn.Linear(5, 5); self.out = nn.Linear(5, 2)"
BN = """i = keras.Input((6,))
x = L.Dense(5, activation="relu", name="d1")(i)
o = L.Dense(2, name="out")(x)
m = fill(keras.Model(i, o), 1)"""
SMALL = ("self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)", "return self.out(F.relu(self.d(x)))")


def trained(keras, torch, **finds):
    """Two layers with an optimizer each."""
    return pair(BN, *SMALL, gives=f"m, keras.optimizers.{keras}", optimizer=f"torch.optim.{torch}", **finds)


def shortcut(first, second):
    """A sum of what two branches give."""
    return f"x = torch.tanh(self.a(x))\nreturn self.out({first} + torch.tanh(self.b({second})))"


ORDER, SIDE, OPTIMIZER = (
    {"finds": ("flatten-order", "d2s")},
    {"finds": ("padding", "crop")},
    {"finds": ("optimizer", "")},
)
PLACES_RIGHT = {
    "depth to space by hand": pair(DEEP, TO_SPACE, """y = self.c(x); n, c, h, w = y.shape
y = y.reshape(n, 2, 2, 3, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, 3, 2 * h, 2 * w)
return self.out(y)"""),
    "space to depth in slices": pair(WIDE, TO_DEPTH, """y = self.c(x)
return self.out(torch.cat([y[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)], 1))"""),
    "a map that is cropped": pair(CUT, TWO, "return self.out(self.c(x)[:, :, 1:, :-1])"),
    "a gradient that both stop": pair(STOPPED, THREE, shortcut("x", "x.detach()")),
    "a rounding that the gradient goes past": pair(
        """i = keras.Input((6,))
x = L.Dense(5, name="d")(i)
x = x + keras.ops.stop_gradient(keras.ops.round(x) - x)
o = L.Dense(2, name="out")(x)""",
        "self.d = nn.Linear(6, 5); self.out = nn.Linear(5, 2)",
        "x = self.d(x)\nreturn self.out(x + (x.round() - x).detach())",
    ),
    "Nesterov's momentum through the steps": trained("SGD(0.1, momentum=0.9, nesterov=True)", "SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True)"),
    "AMSGrad through the steps": trained("Adam(0.01, amsgrad=True)", "Adam(m.parameters(), 0.01, eps=1e-7, amsgrad=True)"),
    "Adagrad through the steps": trained("Adagrad(0.01)", "Adagrad(m.parameters(), 0.01, eps=1e-7, initial_accumulator_value=0.1)"),
    "RMSprop, whose epsilon each has at its own place": trained("RMSprop(0.01, epsilon=1e-3)", "RMSprop(m.parameters(), 0.01, alpha=0.9, eps=1e-3)"),
    "RMSprop with momentum": trained("RMSprop(0.01, momentum=0.9)", "RMSprop(m.parameters(), 0.01, alpha=0.9, eps=1e-7, momentum=0.9)"),
    "RMSprop that is centred": trained("RMSprop(0.01, centered=True)", "RMSprop(m.parameters(), 0.01, alpha=0.9, eps=1e-7, centered=True)"),
}  # fmt: skip
PLACES_WRONG = {
    "a pixel shuffle for depth to space": pair(DEEP, TO_SPACE, SHUFFLED, **ORDER),
    "a module that shuffles": pair(DEEP, TO_SPACE + "; self.up = nn.PixelShuffle(2)", "return self.out(self.up(self.c(x)))", **ORDER),
    "a pixel shuffle for what Keras writes out": pair(BY_HAND, TO_SPACE, SHUFFLED, **ORDER),
    "depth to space with height and width exchanged": pair(DEEP, TO_SPACE, """y = self.c(x); n, c, h, w = y.shape
y = y.reshape(n, 2, 2, 3, h, w).permute(0, 3, 4, 2, 5, 1).reshape(n, 3, 2 * h, 2 * w)
return self.out(y)""", **ORDER),
    "a pixel unshuffle for space to depth": pair(WIDE, TO_DEPTH, UNSHUFFLED, finds=("flatten-order", "s2d")),
    "slices in the other order": pair(WIDE, TO_DEPTH, """y = self.c(x)
return self.out(torch.cat([y[:, :, a::2, b::2] for b in (0, 1) for a in (0, 1)], 1))""", finds=("flatten-order", "s2d")),
    "cropped on the other sides": pair(CUT, TWO, "x = self.c(x)\nx = x[:, :, :-1, 1:]\nreturn self.out(x)", **SIDE),
    "cropped by a negative border": pair(CUT, TWO, "return self.out(F.pad(self.c(x), (-1, 0, 0, -1)))", **SIDE),
    "a sequence cropped on the other side": pair("""i = keras.Input((8, 4))
x = L.Conv1D(4, 3, name="c")(i)
x = L.Cropping1D((2, 1), name="crop")(x)
o = L.Conv1D(2, 1, name="out")(x)""", "self.c = nn.Conv1d(4, 4, 3); self.out = nn.Conv1d(4, 2, 1)", "return self.out(self.c(x)[:, :, 1:-2])", **SIDE),
    "halves of a gate exchanged": pair("""i = keras.Input((6,))
x = L.Dense(8, name="d")(i)
x = x[:, :4] * L.Activation("sigmoid", name="gate")(x[:, 4:])
o = L.Dense(2, name="out")(x)""", "self.d = nn.Linear(6, 8); self.out = nn.Linear(4, 2)", """a, b = self.d(x).chunk(2, -1)
return self.out(b * torch.sigmoid(a))""", finds=("unknown", "gate")),
    "a shortcut that is detached": pair(BRANCH, THREE, shortcut("x.detach()", "x"), finds=("extra-parameter", "d1")),
    "a branch that is detached": pair(BRANCH, THREE, shortcut("x", "x.detach()"), finds=("extra-parameter", "d1")),
    "a branch by its data": pair(BRANCH, THREE, shortcut("x", "x.data"), finds=("extra-parameter", "d1")),
    "a branch without gradients": pair(BRANCH, THREE, """x = torch.tanh(self.a(x))
with torch.no_grad():
    y = torch.tanh(self.b(x))
return self.out(x + y)""", finds=("extra-parameter", "d2")),
    "a branch that Keras stops": pair(STOPPED, THREE, shortcut("x", "x"), finds=("extra-parameter", "stop")),
    "Nesterov in PyTorch alone": trained("SGD(0.1, momentum=0.9)", "SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True)", **OPTIMIZER),
    "AMSGrad in PyTorch alone": trained("Adam(0.01)", "Adam(m.parameters(), 0.01, eps=1e-7, amsgrad=True)", **OPTIMIZER),
    "what Adagrad begins with": trained("Adagrad(0.01)", "Adagrad(m.parameters(), 0.01, eps=1e-7)", **OPTIMIZER),
    "Adagrad's epsilon": trained("Adagrad(0.01)", "Adagrad(m.parameters(), 0.01, initial_accumulator_value=0.1)", **OPTIMIZER),
    "Adagrad's rate that decays": trained("Adagrad(0.01)", "Adagrad(m.parameters(), 0.01, lr_decay=0.1, eps=1e-7, initial_accumulator_value=0.1)", **OPTIMIZER),
    "Adadelta's own settings": trained("Adadelta(1.0)", "Adadelta(m.parameters(), 1.0)", **OPTIMIZER),
    "Adam for Nadam": trained("Nadam(1e-3)", "Adam(m.parameters(), 1e-3, eps=1e-7)", **OPTIMIZER),
    "AdamW for Lion": trained("Lion(1e-4)", "AdamW(m.parameters(), 1e-4, eps=1e-7, weight_decay=0.0)", **OPTIMIZER),
}  # fmt: skip
# cases whose line of code goes before or behind, or in the place of, a line of theirs
MENDED = {
    "a pixel shuffle for depth to space": "x = F.pixel_shuffle(x, 2)",
    "a pixel shuffle for what Keras writes out": "x = F.pixel_shuffle(x, 2)",
    "a pixel unshuffle for space to depth": "x = F.pixel_unshuffle(x, 2)",
    "cropped on the other sides": "x = x[:, :, :-1, 1:]",
}
