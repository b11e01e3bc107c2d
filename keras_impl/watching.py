"""Watch batches pass a model: what each layer is given, and what it does with that in training and in evaluation."""

from contextlib import ExitStack

import keras
import numpy as np

from . import owned
from .keeping import random_state, replaced, set_random_state, value
from .switches import given

_BY_SAMPLE = (
    keras.layers.LayerNormalization, keras.layers.GroupNormalization, keras.layers.UnitNormalization,
    keras.layers.RMSNormalization,
)  # fmt: skip
_ROUNDING = 1e-4  # relative, of losses in float32 that are added to one another
_NAMES_BY_SAMPLE = ("layernorm", "groupnorm", "rmsnorm", "instancenorm")
_AUGMENTS = (
    "random", "augment", "jitter", "flip", "crop", "eras", "cutout", "mix", "solariz", "equaliz", "invert", "rotat",
)  # fmt: skip


def watch(switches, objective, batches):
    """Fill in what the sites of a model do.

    Args:
        switches: of the model.
        objective: the model's `objectives.Objective`.
        batches: one or more; layers are tried on the first.
    """
    for training in (True, False):
        for place, batch in enumerate(batches):
            _follow(switches, objective, batch, place, training)
    leaves = [site for site in switches.sites if _candidate(site) and not site.children]
    _try(switches, objective, batches[0], leaves, fit=True)
    holders = [site for site in switches.sites if _candidate(site) and site.children]
    _try(switches, objective, batches[0], holders, fit=False)
    for site in switches.sites:
        _settle(site)


def _follow(switches, objective, batch, place, training):
    """Follow one pass: what each call is given, who asks for it, and which variables it changes."""
    switches.begin(0, place)
    before, order = [(v, value(v)) for v in switches.model.variables], []

    def record(site, index, call, args, options):
        modes = site.fit if training else site.evaluate
        if place == 0:
            order.append(site)
            site.order = min(site.order, len(order))
            modes.append(options.get("training"))
        with site.as_compiled(training):
            return call(*args, **options)

    with ExitStack() as stack:
        for site in switches.sites:
            stack.enter_context(_asked(site, training))
        stack.enter_context(switches.between(record))
        objective.watched(batch, training)
    changed = [(v, values) for v, values in before if value(v).tobytes() != values.tobytes()]
    owner = {id(v): site for site in switches.sites for v in _own(site.layer)}
    for variable, values in changed:
        site = owner.get(id(variable))
        if site is not None and "float" in variable.dtype:
            site.moves[0 if training else 1] = True
        variable.assign(values)
    if training:
        known = {id(v) for v, _ in switches.moving}
        switches.moving += [(v, values) for v, values in changed if id(v) not in known]


def _asked(site, training):
    """Listen to what the code around a layer asks it for, where it says so."""
    resolve = site.layer._resolve_and_populate_arg

    def listen(name, call_spec, *rest):
        if name == "training":
            site.asked[0 if training else 1] = call_spec.user_arguments_dict.get("training")
        return resolve(name, call_spec, *rest)

    return replaced(site.layer, _resolve_and_populate_arg=listen)


def _candidate(site):
    """Say whether a layer may do something else in training."""
    layer = site.layer
    if not (site.fit or site.evaluate):
        return False
    framework = type(layer).__module__.startswith("keras.")
    if site.children and framework and not isinstance(layer, keras.layers.SpectralNormalization):
        return False  # it only hands the mode on
    if (
        owned.is_normalisation(layer)
        or any(site.evaluate)
        or [bool(m) for m in site.fit] != [bool(m) for m in site.evaluate]
    ):
        return layer._call_has_training_arg
    return not framework and not site.children


def _try(switches, objective, batch, sites, fit):
    """Call some layers three times on what reaches them: as in training, so again, and as in evaluation.

    Args:
        switches, objective, batch: what to pass.
        sites: which layers.
        fit: whether the layers around and inside stand as in training meanwhile.
    """
    tried, inside = set(), []

    def attempt(site, index, call, args, options):
        def as_in(training):
            with site.as_compiled(training):
                return call(*args, **given(site, options, site.mode(index, training)))

        if site not in sites or site in tried or inside or not _there(args):
            return as_in(fit)
        tried.add(site)
        inside.append(site)
        try:
            return _compare(site, as_in, args[0] if args else None)
        finally:
            inside.clear()

    if not sites:
        return
    switches.begin(0, 0)
    with switches.between(attempt):
        objective.watched(batch, training=True)
    switches.put_back()
    for site in sites:
        if site not in tried:  # it has passed in a graph alone, such as JAX's loops: its flags must do
            site.differs = any(site.fit) and not any(site.evaluate)


def _there(args):
    """Whether a call has values, and isn't traced."""
    try:
        keras.tree.map_structure(keras.ops.convert_to_numpy, args)
    except Exception:
        return False
    return True


def _compare(site, as_in, x):
    """Fill in what a layer does with what reaches it, and return what it does as in training.

    Args:
        site: of the layer.
        as_in: makes its call as in training, or as in evaluation.
        x: the call's first argument.
    """
    layer = site.layer
    if _is_stock(layer):
        site.owned = owned.find(layer, x, {}, {})
        site.uses = [_uses(site, as_in, training, None) for training in (True, False)]
        return as_in(True)
    variables = {id(v): v for v in layer.variables}
    before = {key: value(v) for key, v in variables.items()}
    drawn = random_state()

    def put_back(seeds=True):
        if seeds:
            set_random_state(drawn)
        for key, variable in variables.items():
            # on PyTorch's backend what is assigned anew can't be differentiated any more
            if (seeds or "float" in variable.dtype) and value(variable).tobytes() != before[key].tobytes():
                variable.assign(before[key])

    first, added = _adding(layer, as_in, True)
    after = {key: value(v) for key, v in variables.items()}
    put_back(seeds=False)
    again = as_in(True)
    put_back()
    evaluated, added_then = _adding(layer, as_in, False)
    put_back()
    site.differs, site.draws = not _same(first, evaluated), not _same(first, again)
    site.adds = not site.draws and abs(added - added_then) > _ROUNDING * abs(added + added_then)
    floats = {key: v for key, v in after.items() if "float" in variables[key].dtype}
    moved = {key: v for key, v in floats.items() if not _equal(v, before[key])}

    def evaluate():
        outputs = as_in(False)
        put_back()
        return outputs

    asked = evaluate if site.differs and not site.draws else None
    site.owned = owned.find(layer, x, before, moved, first, asked)
    if site.owned:
        site.uses = [_uses(site, as_in, training, put_back) for training in (True, False)]
    return first


def _adding(layer, as_in, training):
    """What a call gives, and by how much it makes the sum of the losses larger that the layer adds by itself."""
    before = sum(float(loss) for loss in layer.losses)
    return as_in(training), sum(float(loss) for loss in layer.losses) - before


def _uses(site, as_in, training, put_back):
    """Say what a normalisation normalises with: does it depend on what it has stored?"""
    modes = site.fit if training else site.evaluate
    if not modes:
        return "unreached"
    if _is_stock(site.layer):
        with site.as_compiled(training):
            return "batch" if modes[0] and site.layer.trainable else "moving"
    mean, variance = site.owned.pair
    plain = as_in(training)
    put_back()
    mean.assign(value(mean) + 1)
    variance.assign(value(variance) * 4 + 1)
    other = as_in(training)
    put_back()
    return "batch" if _same(plain, other) else "moving"


def _is_stock(layer):
    """Whether a layer normalises by Keras's own code, which is known without being tried."""
    return type(layer).call is keras.layers.BatchNormalization.call


def _settle(site):
    """Say which switch a layer belongs to, by what was seen."""
    layer = site.layer
    if owned.is_normalisation(layer) and layer.built and not (site.fit or site.evaluate):
        site.owned = owned.find(layer, None, {}, {})  # no data reach it
    if site.owned:
        site.role = "normalisation"
        site.switch = "unreached" not in site.uses and site.uses[0] != site.uses[1]
        return
    if _by_sample(layer):
        site.role = "normalisation"
        site.uses = ["sample" if modes else "unreached" for modes in (site.fit, site.evaluate)]
        return
    if site.children and site.draws and not site.differs:
        return  # what it draws is a layer's inside it, which has a row of its own
    rates = any(_share(layer, name) for name in ("dropout", "recurrent_dropout"))
    if site.draws or (site.differs and rates):
        site.role = "augmentation" if _augments(layer) else "dropout"
        site.switch = site.differs
        site.uses = ["on", "off" if site.differs else "on"]
    elif site.differs or site.adds:
        site.role, site.switch, site.uses = "other" if site.differs else "objective", True, ["on", "off"]


def _share(layer, name):
    return isinstance(held := getattr(layer, name, 0), int | float) and held > 0


def _by_sample(layer):
    name = type(layer).__name__.lower()
    return isinstance(layer, _BY_SAMPLE) or any(word in name for word in _NAMES_BY_SAMPLE)


def _augments(layer):
    name = type(layer).__name__.lower()
    rank = getattr(getattr(layer, "input_spec", None), "ndim", None)
    return any(word in name for word in _AUGMENTS) and "drop" not in name and rank != 2


def _own(layer):
    seeds = [generator.state for generator in getattr(layer, "_seed_generators", ())]
    return [*layer._trainable_variables, *layer._non_trainable_variables, *seeds]


def _same(these, those):
    these, those = keras.tree.flatten(these), keras.tree.flatten(those)
    return len(these) == len(those) and all(_equal(a, b) for a, b in zip(these, those, strict=True))


def _equal(a, b):
    a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan="float" in str(a.dtype)))
