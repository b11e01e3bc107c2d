# ruff: noqa: E501  # a module is a line or two
"""Attention with queries, keys and values exchanged, and with one causal mask and another: right ports and wrong ones."""

from tests.pair.short import pair

SELF = """i = keras.Input((6, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, i))"""
CAUSAL = SELF.replace("(i, i)", "(i, i, use_causal_mask=True)")
CROSS = """i = keras.Input((6, 8)); j = keras.Input((5, 8)); h = keras.Input((5, 8))
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(i, j, h))"""
PARTS = "self.{} = nn.Linear(8, 8); self.{} = nn.Linear(8, 8); self.{} = nn.Linear(8, 8); self.o = nn.Linear(8, 8); self.fc = nn.Linear(8, 2)"
SHORT, LONG = PARTS.format("q", "k", "v"), PARTS.format("query", "key", "value")
MODULE = "self.att = nn.MultiheadAttention(8, 2, batch_first=True); self.fc = nn.Linear(8, 2)"
THREE = {"takes": "x, y, z", "gives": "fill(keras.Model([i, j, h], o), 1)"}
EXCHANGED, MASK = {"finds": ("kernel-layout", "mha")}, {"finds": ("missing-layer", "mha")}


def written(q="self.q(x)", k="self.k(x)", v="self.v(x)", mask="s"):
    """Attention in products; ``mask`` computes with the scores ``s``."""
    return f"""h = lambda y: y.unflatten(-1, (2, 4)).transpose(1, 2)
q, k, v = {q}, {k}, {v}
s = h(q) @ h(k).transpose(-1, -2) / 2
s = {mask}
return self.fc(self.o((s.softmax(-1) @ h(v)).transpose(1, 2).flatten(2)))"""


def scaled(q="self.q(x)", k="self.k(x)", v="self.v(x)", more=""):
    """Attention by the function that PyTorch has for it."""
    return f"""h = lambda y: y.unflatten(-1, (2, 4)).transpose(1, 2)
y = F.scaled_dot_product_attention(h({q}), h({k}), h({v}){more})
return self.fc(self.o(y.transpose(1, 2).flatten(2)))"""


def filled(triangle):
    """Scores filled where a triangle says so."""
    return f"s.masked_fill(torch.ones(6, 6, dtype=torch.bool).{triangle}, float('-inf'))"


def given(triangle):
    """A call of PyTorch's module with a mask that is True where it may not look."""
    return f"return self.fc(self.att(x, x, x, attn_mask=torch.ones(6, 6, dtype=torch.bool).{triangle})[0])"


ATTENTION_RIGHT = {
    "attention in products": pair(SELF, SHORT, written()),
    "attention by a function": pair(SELF, SHORT, scaled()),
    "queries, keys and values of three inputs": pair(
        CROSS, MODULE, "return self.fc(self.att(x, z, y)[0])", **THREE
    ),
    "a causal mask in products": pair(CAUSAL, SHORT, written(mask=filled("triu(1)"))),
    "a causal mask given to a module": pair(CAUSAL, MODULE, given("triu(1)")),
}
ATTENTION_WRONG = {
    "queries for keys": pair(SELF, SHORT, written("self.k(x)", "self.q(x)"), **EXCHANGED),
    "keys for values": pair(SELF, SHORT, written(k="self.v(x)", v="self.k(x)"), **EXCHANGED),
    "queries for values": pair(SELF, SHORT, written("self.v(x)", v="self.q(x)"), **EXCHANGED),
    "queries for keys under their whole names": pair(SELF, LONG, written("self.key(x)", "self.query(x)", "self.value(x)"), **EXCHANGED),
    "queries for keys in a function": pair(SELF, SHORT, scaled("self.k(x)", "self.q(x)"), **EXCHANGED),
    "keys for values in a function": pair(SELF, SHORT, scaled(k="self.v(x)", v="self.k(x)"), **EXCHANGED),
    "Keras's order of arguments in PyTorch": pair(CROSS, MODULE, "return self.fc(self.att(x, y, z)[0])", **THREE, **EXCHANGED),
    "a triangle that lets the next step in": pair(CAUSAL, SHORT, written(mask=filled("triu(2)")), **MASK),
    "a triangle that leaves the step itself out": pair(CAUSAL, SHORT, written(mask="s.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(0), -1e9)"), **MASK),
    "the upper triangle for the lower": pair(CAUSAL, SHORT, written(mask=filled("tril(-1)")), **MASK),
    "a triangle that is added": pair(CAUSAL, SHORT, written(mask="s + torch.full((6, 6), float('-inf')).triu(2)"), **MASK),
    "a triangle that is chosen by": pair(CAUSAL, SHORT, written(mask="torch.where(torch.ones(6, 6).tril(1) == 1, s, torch.tensor(-1e9))"), **MASK),
    "a function with the next step": pair(CAUSAL, SHORT, scaled(more=", attn_mask=torch.ones(6, 6, dtype=torch.bool).tril(1)"), **MASK),
    "a function with the upper triangle": pair(CAUSAL, SHORT, scaled(more=", attn_mask=torch.ones(6, 6, dtype=torch.bool).triu()"), **MASK),
    "a module with the next step": pair(CAUSAL, MODULE, given("triu(2)"), **MASK),
    "a mask of padding turned round": pair(
        """i = keras.Input((6,), dtype="int32")
x = L.Embedding(5, 8, mask_zero=True, name="emb")(i)
o = L.Dense(2, name="fc")(L.MultiHeadAttention(2, 4, name="mha")(x, x))""",
        "self.emb = nn.Embedding(5, 8); " + MODULE,
        "m = x != 0; x = self.emb(x)\nreturn self.fc(self.att(x, x, x, key_padding_mask=m)[0])",
        **MASK,
    ),
    "a module with its mask turned round": pair(CAUSAL, MODULE, given("tril(-1)"), **MASK),
}  # fmt: skip
