"""What a layer is asked for in training and in evaluation by what is around it, and why it gets something else."""

from .evidence import Override


def baked_in(model):
    """What a graph has stored for the calls of its layers: id of a layer -> its ``training=``."""
    found = {}
    for container in model._flatten_layers():
        for nodes in getattr(container, "_nodes_by_depth", {}).values():
            for node in nodes:
                mode = node.arguments.kwargs.get("training") if not node.is_input else None
                # a default is stored as if somebody had said it
                if isinstance(mode, bool) and mode is not _default(node.operation):
                    found[id(node.operation)] = bool(mode)
    return found


def _default(layer):
    signature = getattr(layer, "_call_signature", None)
    mode = None if signature is None else signature.parameters.get("training")
    return None if mode is None else mode.default


def asks(site, baked, virgin=False):
    """What is asked of a layer in training and in evaluation by what is around it, and why it gets something else.

    Args:
        site: of the layer.
        baked: see `baked_in`.
        virgin: whether it trains, and its statistics are as they were made. Nobody has it stand on those on purpose.
    """
    if site.compiled is not None:
        now = site.layer.trainable
        words = f"its trainable was set to {now} after compile, and fit goes on as it was compiled"
        return [True, False], Override(words, "hand")
    around = site
    while around is not None:
        if id(around.layer) in baked:
            break
        around = around.parent
    given = [bool(site.fit and site.fit[0]), bool(site.evaluate and site.evaluate[0])]
    if around is not None:
        mode = baked[id(around.layer)]
        said = f"training={mode} in the graph's call of {around.name}"
        if site.fit and given[0] != mode:
            return [mode, mode], Override(f"{said} is overridden by fit", "call")
        if site.evaluate and given[1] != mode:
            return [mode, mode], Override(f"{said} is overridden by evaluate", "call")
        return [mode, mode], None
    if not site.layer._call_has_training_arg:
        return [True, False], None  # there is nothing that could be passed on to it
    if site.fit and not given[0]:
        asked = site
        while asked is not None and asked.asked[0] is None:
            asked = asked.parent
        if asked is None or (asked.parent is None and asked.asked[0] is False):
            words = "its call gets no training=True in fit: the code around it doesn't pass that on"
            return [True, False], Override(words, "untold")
        if virgin:
            words = f"{_call(asked, site)} says training=False, in fit too, and its statistics are as they were made"
            return [True, False], Override(words, "call")
        return [False, False], None
    if site.evaluate and given[1]:
        return [True, False], _told(site)
    return [True, False], None


def _told(site):
    """Who asks a layer to act in evaluation as in training: the code of a layer around it, or the step itself."""
    asked = site
    while asked.parent is not None and asked.parent.evaluate and asked.parent.evaluate[0]:
        asked = asked.parent
    if asked.parent is None or asked.parent.asked[1]:
        return Override("the code around it says training=True, in evaluation too", "code")
    return Override(f"{_call(asked, site)} says training=True, in evaluation too", "call")


def _call(asked, site):
    what = "its call" if asked is site else f"the call of {asked.name} around it"
    return f"{what} in {asked.parent.name}"


def frozen(site, trainable):
    """Whether a person would believe that a layer is frozen: nothing in it and beside it trains, but something does."""
    if not trainable or any(id(v) in trainable for v in site.layer.variables):
        return False
    around = site.parent
    while around is not None and around.parent is not None:
        if any(id(v) in trainable for v in around.layer.variables):
            return False
        if around.layer._trainable_variables or len(around.layer.weights) > len(site.layer.weights):
            return True
        around = around.parent
    before = _feeding(site)
    return before is not None and not any(id(v) in trainable for v in before.variables)


def _feeding(site):
    """The layer with weights that comes before a layer among those beside it; None where there is none."""
    beside = site.parent.layer._flatten_layers(include_self=False, recursive=False) if site.parent else []
    before = beside[: beside.index(site.layer)] if site.layer in beside else []
    return next((layer for layer in reversed(before) if layer.weights), None)
