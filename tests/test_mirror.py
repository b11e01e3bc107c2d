"""`torch_impl` and `keras_impl` read as one text: same files, same public names in the same order, same arguments."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path.name for path in (ROOT / "torch_impl").glob("*.py"))

# files of one side alone, with the reason
ALONE = {
    "graphs.py": "a PyTorch module is run as it is trained, one operation after the other",
    "logged.py": "a Keras model is its own trainer, and logs nothing",
    "sorting.py": "a Keras layer is watched where it is called; a PyTorch module's mode is toggled to see what it does",
    "thrown.py": "a Keras layer is replaced at its own call; PyTorch's functions are met in one place",
    "within.py": "the statistics that a module takes are seen in PyTorch, whose functions are watched",
    "waiting.py": "a Keras model without weights is refused",
    "nested.py": "Keras has keras.tree for structures of tensors",
    "traces.py": "a Keras layer is known before it is called; PyTorch's calls are written down",
    "trying.py": "a Keras layer is tried with what reaches it in the model",
    "calls.py": "PyTorch normalises in functions that anybody can call; Keras in layers, whose calls are watched",
}
FILES = [name for name in FILES if name not in ALONE]

ALONE |= {
    "attention.py": "PyTorch's attention is one function; Keras's is made of layers that can be seen",
    "matching.py": "Keras's own layers compute as Keras does",
    "editing.py": "a cause is tried on PyTorch's side, whose functions can be replaced call by call",
    "activating.py": "as editing.py",
    "cells.py": "as editing.py",
    "cutting.py": "as editing.py",
    "computing.py": "as editing.py",
    "counting.py": "Keras compiles metric objects into a model, which count on; PyTorch has none",
    "watching.py": "PyTorch's passes are written down by sorting.py and traces.py, its layers tried by trying.py",
    "beside.py": "Keras hands masks on beside tensors; PyTorch's are arguments of calls like any other",
    "own_steps.py": "a Keras model may have a step of its own; PyTorch's is a person's loop, or Lightning's",
    "spatial.py": "Keras's calls are of layers, which know what they do; PyTorch's functions are a table",
}
FILES = [name for name in FILES if name not in ALONE]

# what one framework needs and the other doesn't, with the reason
ONE_SIDED = {
    "asking.asks": "a Keras call's argument decides, which a graph may have stored; a PyTorch module's flag",
    "asking.baked_in": "as asks",
    "asking.flag": "as asks",
    "asking.modes_of": "as asks",
    "asking.trainable_of": "a Keras model lists what it trains",
    "asking.override": "as asks",
    "asking.why": "as asks",
    "batches.made_up": "a PyTorch module doesn't say what inputs it takes",
    "batches.Epochs": "Keras's own loops take their batches from such an object; PyTorch's loop is written out",
    "bn_policy.hold": "a Keras layer keeps its state; a PyTorch module must be set again after train() and eval()",
    "bn_policy.leaves": "PyTorch's named_modules() already walks nested models",
    "owned.buffers": "as named",
    "owned.named": "PyTorch's buffers have names that say what they are",
    "owned.moved": "a Keras layer is told by a call in the model; a PyTorch module by one that is made up, too",
    "keeping.Attributes": "a Keras layer's tensors are variables",
    "keeping.loader_kept": "a Keras data set holds no generator of a framework's",
    "keeping.modes_kept": "a Keras layer has no mode",
    "keeping.metrics_kept": "as counting.py",
    "keeping.variables_kept": "PyTorch's buffers and parameters are copied in place, each where it is kept",
    "keeping.value": "a Keras variable is copied by each backend in its own way",
    "keeping.buffers_kept": "a Keras variable stays the same object when it is assigned",
    "keeping.replaced": "Keras tracks what is assigned to a layer",
    "statistics.forgetting": "PyTorch runs no stored graph, which would keep all tensors",
    "objectives.module_of": "a Keras trainer is its model",
    "objectives.call": "a Keras model is called with all its inputs as one structure",
    "objectives.accuracy": "Keras's metrics are compiled in",
    "switches.Site": "a Keras layer is watched at its call; a PyTorch module's functions are",
    "switches.called": "as Site",
    "switches.given": "as Site",
    "moments.spread": "a graph's tensors have no values yet; PyTorch's always have",
    "kinds.bind": "PyTorch's calls are of functions, which say nothing of themselves",
    "kinds.facts": "as bind",
    "kinds.quiet": "as bind",
    "kinds.describe": "Keras's calls are of layers, which know what they do",
    "kinds.activation": "as describe",
    "kinds.arrays": "as describe",
    "kinds.rate": "as describe",
    "kinds.own_weights": "as describe",
    "observing.Watch": "Keras's calls are watched by replacing one method",
    "observing.mode": "Keras is told the mode at a call",
    "observing.flat": "Keras has a function for nests",
    "observing.returned": "as flat",
    "observing.state": "Keras's variables are found by `variables`",
    "observing.variables": "PyTorch's state has names",
    "observing.paths": "PyTorch's modules have names",
    "observing.is_leaf": "PyTorch's functions are watched, not its modules",
    "observing.quiet": "PyTorch's noise is switched off call by call",
    "layers.SameConv": 'Keras\'s own convolution knows padding="same" at any stride',
    "modes.stand": "a policy must be put upon PyTorch's modules again with each mode; Keras's layers keep it",
    "modes.autocast": "a Keras layer has its precision itself",
    "modes.without_gradients": "PyTorch's own is torch.no_grad",
    "metrics.crossentropy": "PyTorch's own takes logits, which may be anything",
    "metrics.metrics": "Keras compiles metric objects into a model; PyTorch measures an epoch's predictions at its end",
    "names.of_path": "a Keras layer has a name of its own, whatever the path to it",
    "names.of_weights": "as names.of_path: a PyTorch model's weights are found by their keys in a state dict",
    "names.of_state": "a state dict is named without a model; Keras's files hold the names themselves",
    "names.torchvision": "as names.of_state: torchvision's modules have names of their own",
    "names.to_array": "Keras's layout is the neutral one",
    "names.to_tensor": "as names.to_array",
    "names.walk": "PyTorch's named_modules() walks nested models",
    "networks.Dense": "a Keras dense layer has its activation in it",
    "networks.activation": "Keras takes an activation by its name",
    "networks.flat": "keras.applications' models have no parts; a state dict's names are all that tells",
    "optimizers.unrounded": "PyTorch's optimizers that compute as Keras's have the attribute `rounds`",
    "optimizers.KerasSGD": "Keras's own is keras.optimizers.SGD",
    "optimizers.KerasRMSprop": "Keras's own is keras.optimizers.RMSprop",
    "optimizers.KerasAdam": "Keras's own are keras.optimizers.Adam and AdamW",
    "optimizers.KerasAdagrad": "Keras's own is keras.optimizers.Adagrad",
    "persons.inputs": "a PyTorch module doesn't say what it takes",
    "persons.loss": "PyTorch compiles nothing",
    "updating.penalties": "a Keras variable holds its penalty; PyTorch's is its optimizer's weight decay",
    "updating.added": "a module adds nothing to the loss",
    "updating.averaged": "PyTorch's averages are a module of their own",
    "updating.constrained": "a parameter of PyTorch's has no constraint",
    "training.compile": "PyTorch compiles nothing",
    "training.loss_of": "Keras's loss is compiled into the model",
    "training.passed": "Keras's own loop passes the batches",
    "training.probabilities": "a Keras model's output is probabilities already",
}
# what is the same to the letter on both sides: whole files, and definitions
SAME_FILES = ("evidence", "gathering", "lockstep", "remembering")
SAME = {
    "acting": ("faults",),
    "bn_policy": ("Policy",),
    "metrics": ("right",),
    "networks": ("ACTIVATIONS",),
    "optimizers": ("NAMES", "adam", "_check"),
    "persons": ("named", "data", "_leaves"),
    "releases": ("EPSILON", "Release", "_OLDEST", "_CORRECTED_TWICE", "_FUSED", "RELEASES", "release_of"),
    "replay": ("replaying",),
    "resnet50": ("BLOCKS", "CHANNELS", "EPSILON", "UNPADDED"),
    "saving": ("FACTS",),
    "statistics": ("recalibrate",),
    "stepping": ("loss",),
    "tracing": ("Training.to_arrays",),
    "training": ("NonFiniteLossError",),
    "vgg16": ("CONVS", "CHANNELS"),
    "weights": ("backbone_arrays", "check"),
}
COPY_LINES = 5  # what is that long, has one name and one text on both sides is a copy, and held as one
# functions whose arguments are each framework's own
OTHER_ARGUMENTS = {
    "layers.conv": "a PyTorch layer must be told the channels that come in, and isn't called on a tensor",
    "layers.max_pool": "as conv",
    "asking.frozen": "a Keras layer's place among the others is known by its site; a PyTorch module's by its path",
    "acting.observe": "PyTorch's passes are traced before; Keras's layers are tried one by one",
    "keeping.kept": "a Keras model holds its optimizer",
    "keeping.state": "as kept",
    "keeping.random_state": "Keras's layers have generators of their own",
    "keeping.seed_all": "as random_state",
    "owned.find": "PyTorch's buffers have names that say what they are; Keras's variables are told by what they do",
    "observing.observe": "PyTorch's calls can be changed one by one, as a cause is tried",
    "updating.make": "a Keras optimizer asks for its variables at the first step",
    "moments.samples": "a Keras layer has its channels along any axis, and may have a mask",
    "moments.moments": "as samples",
    "networks.backbone": "a Keras layer has a name of its own, which a file may want otherwise",
    "networks.join": "as backbone",
}


def _public(side, file):
    """Public functions -> argument names, and classes -> None, in order."""
    names = {}
    for node in _tree(side, file.removesuffix(".py")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            names[node.name] = _arguments(node) if isinstance(node, ast.FunctionDef) else None
    return {name: args for name, args in names.items() if f"{file[:-3]}.{name}" not in ONE_SIDED}


def _tree(side, file):
    return ast.parse((ROOT / side / f"{file}.py").read_text())


def _arguments(node):
    return [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]


def test_same_files():
    there = sorted(path.name for path in (ROOT / "keras_impl").glob("*.py"))
    assert [name for name in there if name not in ALONE] == FILES


@pytest.mark.parametrize("file", FILES)
def test_same_names_in_the_same_order(file):
    assert list(_public("torch_impl", file)) == list(_public("keras_impl", file))


@pytest.mark.parametrize("file", FILES)
def test_same_arguments(file):
    torch, keras = _public("torch_impl", file), _public("keras_impl", file)
    for name, arguments in torch.items():
        if f"{file[:-3]}.{name}" not in OTHER_ARGUMENTS:
            assert arguments == keras[name], name


@pytest.mark.parametrize("name", ONE_SIDED)
def test_what_is_one_sided_is_on_one_side(name):
    """An exception that no longer is one must go."""
    file, function = name.split(".")
    sides = [
        any(getattr(node, "name", None) == function for node in _tree(side, file).body)
        for side in ("torch_impl", "keras_impl")
    ]
    assert sides.count(True) == 1


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("torch_impl", {"compare", "keras_impl", "keras", "tensorflow", "jax"}),
        ("keras_impl", {"compare", "torch_impl", "torch", "torchvision", "tensorflow", "jax"}),
    ],
)
def test_an_implementation_can_be_lifted_out(folder, forbidden):
    for path in (ROOT / folder).glob("*.py"):
        assert not _imports(ast.parse(path.read_text())) & forbidden, path.name


def _imports(tree):
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("file", SAME_FILES)
def test_a_file_that_is_the_same_on_both_sides_stays_so(file):
    assert (ROOT / "torch_impl" / f"{file}.py").read_text() == (
        ROOT / "keras_impl" / f"{file}.py"
    ).read_text()


@pytest.mark.parametrize(("file", "name"), [(file, name) for file, names in SAME.items() for name in names])
def test_a_copy_does_not_drift(file, name):
    assert _texts("torch_impl", file)[name] == _texts("keras_impl", file)[name]


@pytest.mark.parametrize("file", [name.removesuffix(".py") for name in FILES])
def test_every_copy_is_held_to_the_other(file):
    """A definition that is new on both sides, word for word, is listed in `SAME` too."""
    torch, keras = _texts("torch_impl", file), _texts("keras_impl", file)
    same = {
        name for name in torch if torch[name] == keras.get(name) and torch[name].count("\n") >= COPY_LINES - 1
    }
    same -= {name for name in same if name.partition(".")[0] in same and "." in name}
    assert file in SAME_FILES or same <= set(SAME.get(file, ()))


def test_a_drifted_copy_is_seen(monkeypatch):
    texts = Path.read_text
    drifted = ROOT / "keras_impl" / "releases.py"
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path: texts(path).replace("1e-8", "1e-7") if path == drifted else texts(path),
    )
    with pytest.raises(AssertionError):
        test_a_copy_does_not_drift("releases", "_OLDEST")


def _texts(side, file):
    """Map each definition of a file, methods too, to its text."""
    source = (ROOT / side / f"{file}.py").read_text()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.get_source_segment(source, node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.get_source_segment(source, node)
            methods = [
                part
                for part in node.body
                if isinstance(part, ast.FunctionDef) and isinstance(node, ast.ClassDef)
            ]
            found |= {f"{node.name}.{part.name}": ast.get_source_segment(source, part) for part in methods}
    return found
