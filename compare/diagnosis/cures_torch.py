"""The code of the cures in PyTorch; what it stands on: ``model``, ``loader``, ``loss``, and the usual imports.

``{batch}`` and ``{call}`` stand for how a loop over the data calls the model.
"""

_NORMS = """\
names = {names}
norms = [module for name, module in model.named_modules() if name in names]
"""
_REESTIMATE = """\
for norm in norms:
    norm.reset_running_stats()
    norm.momentum = None  # a plain mean over the batches that follow
model.train()
with torch.no_grad():
    for {batch} in loader:
        {call}
for norm in norms:
    norm.momentum = 0.1  # PyTorch's momentum is the share of the new value
model.eval()"""
_WITHOUT_DROPOUT = _REESTIMATE.replace(
    "model.train()\n",
    """\
model.train()
for module in model.modules():
    if "Dropout" in type(module).__name__:
        module.eval()
""",
)
_SHIFTED = f"""\
norms = [module for module in model.modules() if hasattr(module, "reset_running_stats")]
{_WITHOUT_DROPOUT}"""
_EVALUATE = """\
model.eval()
for module in model.modules():
    module.training = False"""
_BY_HAND = "norm = nn.LazyBatchNorm1d(momentum=0.1)  # in place of the layer; 2d and 3d for maps and volumes"
# (cause, detail of a case) -> code
CODE = {
    ("stale-statistics", ""): _NORMS + _REESTIMATE,
    ("foreign-statistics", ""): _NORMS + _REESTIMATE,
    ("decay", ""): _NORMS + _REESTIMATE,
    ("numerics", ""): _NORMS + _REESTIMATE,
    ("dropout", "before-normalisation"): _SHIFTED,
    ("augmentation", "before-normalisation"): _SHIFTED,
    ("stale-statistics", "by-hand"): _BY_HAND,
    ("foreign-statistics", "by-hand"): _BY_HAND,
    ("decay", "by-hand"): _BY_HAND,
    ("numerics", "by-hand"): _BY_HAND,
    ("shared-layer", "by-hand"): (
        "own = nn.ModuleList(nn.LazyBatchNorm1d() for _ in range(2))  # call one for each input"
    ),
    ("numerics", "half"): """\
def in_float32(outputs, targets):  # in place of the loss; what that itself casts to half precision must go
    return loss(outputs.float(), targets.float() if targets.is_floating_point() else targets)""",
    ("numerics", "reported"): """\
model.train()
with torch.no_grad():
    bad = [number for number, (x, y, *_) in enumerate(loader) if not loss(model(x), y).isfinite()]
torch.autograd.set_detect_anomaly(True)  # while it is on, backward names the operation""",
    ("batch-noise", ""): """\
dataset = loader.dataset
size = min(64, len(dataset))
loader = DataLoader(dataset, batch_size=size, shuffle=True, drop_last=True)""",
    ("unmixed-batches", ""): "loader = DataLoader(loader.dataset, batch_size=32, shuffle=True)",
    ("shared-layer", ""): _NORMS
    + "own = nn.ModuleList(copy.deepcopy(norms[0]) for _ in range(2))  # call one for each input",
    ("not-frozen", ""): _NORMS
    + """\
model.train()
for norm in norms:
    norm.eval()  # after every model.train()""",
    ("mode-override", ""): """\
def train(self, mode=True):  # in the model's class; calls pass training=self.training on
    return nn.Module.train(self, mode)""",
    ("mode-override", "never-training"): "model.train()  # before every epoch",
    ("mode-override", "own"): "# in forward: what stands behind `if self.training:`, and behind its else",
    ("mode-in-evaluation", ""): _EVALUATE,
    (
        "mode-in-evaluation",
        "by-batch",
    ): "loader = DataLoader(loader.dataset, batch_size=32, shuffle=True)  # evaluation's, in batches like training's",
    (
        "random-evaluation",
        "",
    ): "x = F.dropout(x, 0.5, training=model.training)  # nn.Dropout does that by itself",
    ("random-evaluation", "drawn"): (
        "noise = torch.randn_like(x) if model.training else torch.zeros_like(x)  # in forward: self.training"
    ),
    ("random-evaluation", "stuck"): _EVALUATE,
    ("random-evaluation", "step"): "torch.manual_seed(0)  # before each evaluation",
    (
        "random-evaluation",
        "data",
    ): "batches = list(loader)  # evaluation's, drawn once: evaluate these every time",
    ("evaluation-changes-state", ""): """\
kept = copy.deepcopy(model.state_dict())
model.eval()
with torch.no_grad():
    outputs = [{call} for {batch} in loader]
model.load_state_dict(kept)  # until the update in forward stands behind `if self.training:`""",
    ("evaluation-changes-state", "memory"): (
        "evaluated = copy.deepcopy(model).eval()  # a new copy for each evaluation"
    ),
    ("aggregation", ""): """\
total = count = 0
with torch.no_grad():
    for x, y, *_ in loader:
        total += loss(model(x), y).item() * len(y)
        count += len(y)
mean = total / count""",
    ("aggregation", "by-step"): """\
total = count = 0
with torch.no_grad():
    for batch in loader:
        said = step(model, batch)
        value = said["loss"] if isinstance(said, dict) else said
        total, count = total + float(value) * len(batch[0]), count + len(batch[0])
mean = total / count""",
    ("objective", "by-step"): """\
model.eval()
with torch.no_grad():  # what training sees, by evaluation's objective
    values = [step(model, batch) for batch in loader]""",
    ("objective", ""): "value = loss(outputs, targets)  # in both, without weights, smoothing and penalties",
    (
        "metric",
        "",
    ): "accuracy = (outputs.argmax(1) == targets).float().mean()  # of two classes by logits: outputs > 0",
    ("metric", "loss"): "value = F.cross_entropy(outputs, targets)  # of outputs without a softmax before it",
    ("samples", ""): "loader = DataLoader(loader.dataset, batch_size=32)  # each sample once, in both",
    ("samples", "classes"): """\
pairs = [(x, torch.as_tensor({change})[y]) for x, y in loader]  # evaluation's, numbered as fit's data number them""",
    ("samples", "apart"): "pairs = [(x, y) for x, y in loader]  # both from one pass",
    (
        "mode-in-evaluation",
        "function",
    ): "x = F.dropout(x, 0.5, training=model.training)  # in forward: self.training",
    ("numerics", "layer"): """\
layer = dict(model.named_modules())[{names}[0]]
layer.register_forward_pre_hook(lambda layer, given: print(given[0].abs().max()))
model(x)""",
    (
        "numerics",
        "loss",
    ): "value = F.cross_entropy(model(x).float(), targets)  # of logits, without a softmax before it",
    ("other-weights", "perhaps"): """\
model.eval()
with torch.no_grad():
    values = [loss(model(x), y).item() for x, y in loader]""",
    ("other-weights", ""): "model.load_state_dict(state, strict=True)  # buffers included",
    ("input-scale", "changed"): "x = {change}",
    ("data-differ", ""): "dataset = loader.dataset  # the same transforms for both, but for augmentation",
    ("data-differ", "changed"): "x = {change}  # in evaluation",
}
