"""Say of each layer what it does in training and in evaluation, as it was seen to do it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from . import owned, trying, within
from .asking import RUNNING, flag, frozen, modes_of, override, trainable_of, why
from .evidence import Layer, Override


def observe(switches, moved_in_fit, moved_in_evaluation, others=()):
    """Describe every layer that was watched.

    Args:
        switches: `switches.Switches` with both traces.
        moved_in_fit, moved_in_evaluation: names of the buffers that a pass changed.
        others: paths of modules that read the mode, as it turned out.
    """
    rows, order = [], {path: i for i, path in enumerate(switches.fit.reached)}
    # modules that call a normalising function, whose rows stand under what that normalises with
    calling = {at for one in (switches.fit, switches.evaluate) for _, _, at in one.norms.values()}
    calls = Counter(key.split("#")[0] for key in switches.fit.norms)
    seen = {}
    for key in (*switches.fit.norms, *switches.evaluate.norms):
        seen.setdefault(key.split("#")[0], key)
    for name in seen:
        rows.append(_norm(switches, name, calls[name], (moved_in_fit, moved_in_evaluation)))
    for path, module in switches.modules.items():
        if path in seen:
            continue
        if _is_normalisation(module) and (isinstance(module, RUNNING) or path not in calling):
            rows.append(_unwatched(switches, path, (moved_in_fit, moved_in_evaluation)))
        elif (role := _role(switches, path, others)) is not None:
            rows.append(_acting(switches, path, role, (moved_in_fit, moved_in_evaluation)))
    rows += _functions(switches)
    rows.sort(key=lambda row: order.get(row.name, len(order)))
    return [replace(row, order=i) for i, row in enumerate(rows)]


def alone(model):
    """Describe every layer by what it does on arrays made up for it, in training mode and in evaluation mode."""
    fit_modes, evaluate_modes = modes_of(model)
    trainable, rows = trainable_of(model), []
    for path, module in model.named_modules():
        if _is_normalisation(module):
            done = trying.attempt(module, fit_modes[path], evaluate_modes[path])
            rows.append(_described(model, path, module, done, fit_modes[path], evaluate_modes, trainable))
        elif isinstance(module, nn.modules.dropout._DropoutNd) or "drop" in type(module).__name__.lower():
            on = [
                "on" if modes[path] and getattr(module, "p", 1) else "off"
                for modes in (fit_modes, evaluate_modes)
            ]
            rows.append(
                Layer(
                    path,
                    type(module).__name__,
                    "dropout",
                    switch=on[0] != on[1],
                    fit=on[0],
                    evaluate=on[1],
                    flag_evaluate="off",
                    override=why(model, path, evaluate_modes),
                    calls=1,
                )
            )
    return [replace(row, order=i) for i, row in enumerate(rows)]


def faults(mean, variance):
    """What is wrong with statistics, in words."""
    found = []
    for name, values in (("means", mean), ("variances", variance)):
        for what, wrong in (("NaN", np.isnan(values)), ("infinity", np.isinf(values))):
            if wrong.any():
                found.append(f"{what} in {int(wrong.sum())} of {wrong.size} {name}")
    if (variance < 0).any():
        found.append(f"a negative value in {int((variance < 0).sum())} of {variance.size} variances")
    return tuple(found)


def _norm(switches, name, count, moved):
    _, call, path = switches.fit.norms.get(name) or switches.evaluate.norms[name]
    in_fit = switches.fit.norms.get(name, ("unreached",))[0]
    in_evaluation = switches.evaluate.norms.get(name, ("unreached",))[0]
    module = switches.modules[path]
    known = isinstance(module, RUNNING) or name == path
    mode = switches.fit_modes[path]
    return Layer(
        name=name,
        kind=type(module).__name__ if known else call.function.__name__,
        role="normalisation",
        switch=in_fit != in_evaluation,
        fit=in_fit,
        evaluate=in_evaluation,
        flag_fit=flag(module, mode),
        flag_evaluate="moving" if trying.keeps(module) or call.mean is not None else in_evaluation,
        calls=max(1, count),
        override=override(switches, path, module, in_fit, in_evaluation, call),
        **_kept(switches.model, path, module, switches.trainable, moved, call),
    )


def _unwatched(switches, path, moved):
    """A normalisation without a call of PyTorch's: of a sample's own statistics, of its own arithmetic, or unused."""
    module, reached = switches.modules[path], path in switches.fit.reached
    how = ["unreached", "unreached"]
    if reached and trying.by_sample(module):
        how = ["sample", "sample"]
    elif isinstance(switches.owned.get(path), within.Within):
        taken = (switches.fit.taken[path], switches.evaluate.taken.get(path))
        how = ["batch" if statistics else "moving" for statistics in taken]
    elif reached:
        x = switches.fit.inputs.get(path)
        for i, modes in enumerate((switches.fit_modes, switches.evaluate_modes)):
            how[i] = "batch" if x is not None and trying.depends(module, x, modes[path]) else "moving"
    return Layer(
        name=path or "forward",
        kind=type(module).__name__,
        role="normalisation",
        switch=switches.groups.get(path) == "normalisation" and how[0] != how[1],
        fit=how[0],
        evaluate=how[1],
        flag_fit=how[0],
        flag_evaluate=how[1] if switches.evaluate_modes[path] is False else "moving",
        calls=switches.fit.reached.get(path, 0),
        override=why(switches.model, path, switches.evaluate_modes),
        **_kept(switches.model, path, module, switches.trainable, moved, None),
    )


def _kept(model, path, module, trainable, moved, call):
    """What a layer keeps, and whether it moves: fields of its `Layer`."""
    own = list(module.parameters(recurse=False))
    mean, variance, names = _stored(module, path, call, model)
    fields = {
        "trains": any(id(p) in trainable for p in own),
        "parameters": bool(own),
        "frozen": bool(trainable) and frozen(model, path, own, trainable),
        "moves": bool(names & moved[0]),
        "moves_in_evaluation": bool(names & moved[1]),
        "epsilon": getattr(module, "eps", None) or (call.epsilon if call is not None else None),
        "decay": _decay(module, call),
    }
    if mean is None:
        return fields
    tracked = getattr(module, "num_batches_tracked", None)
    mean, variance = (values.cpu().double().numpy().copy() for values in (mean, variance))
    return fields | {
        "virgin": bool((mean == 0).all() and (variance == 1).all()),
        "by_hand": not hasattr(module, "reset_running_stats"),
        "steps": None if tracked is None else int(tracked),
        "faults": faults(mean, variance),
        "mean": mean,
        "variance": variance,
    }


def _stored(module, path, call, model):
    """Mean, variance and the names of the buffers they are in."""
    own = owned.find(module) if not isinstance(module, RUNNING) else None
    if own is not None:
        mean, variance = own.stored()
        return mean, variance, {f"{path}.{name}".removeprefix(".") for name in own.names}
    pair = (getattr(module, "running_mean", None), getattr(module, "running_var", None))
    if not isinstance(pair[0], torch.Tensor) and call is not None:
        pair = (call.mean, call.variance)
    if not isinstance(pair[0], torch.Tensor) or pair[1] is None:
        return None, None, set()
    names = {name for name, buffer in model.named_buffers() if any(buffer is tensor for tensor in pair)}
    return (*(tensor.detach() for tensor in pair), names)


def _decay(module, call):
    momentum = getattr(module, "momentum", None)
    if momentum is None and call is not None and not hasattr(module, "momentum"):
        momentum = call.momentum
    return None if not isinstance(momentum, int | float) else round(1 - momentum, 12)


def _role(switches, path, others):
    if path in others:
        return "other"
    group = switches.groups.get(path)
    drew = path in switches.fit.drew or path in switches.evaluate.drew
    if group in ("dropout", "augmentation"):
        return group
    if path in switches.evaluate.drew or (drew and path):
        return "dropout"
    stuck = any(key[0] == path and on for key, on in switches.evaluate.noises.items())
    return "dropout" if stuck and isinstance(switches.modules[path], nn.modules.dropout._DropoutNd) else None


def _acting(switches, path, role, moved):
    module = switches.modules[path]
    own = {name for name, _ in module.named_buffers(path, recurse=False)}
    called = [key for key in switches.fit.noises if key[0] == path]
    fit, evaluate = (
        ("on" if path in trace.drew or any(trace.noises.get(key) for key in called) else "off")
        if path in trace.reached or path == ""
        else "unreached"
        for trace in (switches.fit, switches.evaluate)
    )
    if role == "other":
        fit, evaluate = "on", "off"
    drew = path == "" and path in switches.fit.drew | switches.evaluate.drew
    by_step = drew and not (switches.fit.inside or switches.evaluate.inside)
    return Layer(
        name=path or ("step" if by_step else "forward"),
        kind="step" if by_step else type(module).__name__,
        role=role,
        switch=fit != evaluate,
        trains=any(id(p) in switches.trainable for p in module.parameters(recurse=False)),
        fit=fit,
        evaluate=evaluate,
        flag_fit="on" if switches.fit_modes[path] else "off",
        flag_evaluate="on" if switches.evaluate_modes[path] else "off",
        calls=switches.fit.reached.get(path, 1),
        override=why(switches.model, path, switches.evaluate_modes),
        moves=bool(own & moved[0]),
        moves_in_evaluation=bool(own & moved[1]),
    )


def _functions(switches):
    """Functions with noise in them that no layer of their own stands for."""
    rows = {}
    for key in switches.fit.noises.keys() | switches.evaluate.noises.keys():
        path, function, _ = key
        module = switches.modules[path]
        if isinstance(module, nn.modules.dropout._DropoutNd):
            continue
        fit, evaluate = switches.fit.noises.get(key, False), switches.evaluate.noises.get(key, False)
        if not (fit or evaluate):
            continue
        stuck = evaluate and not switches.evaluate_modes[path]
        name = f"{path or 'forward'}: {function}"
        if name in rows and not stuck:
            continue
        rows[name] = Layer(
            name=name,
            kind=f"F.{function}",
            role="dropout",
            switch=fit != evaluate,
            fit="on" if fit else "off",
            evaluate="on" if evaluate else "off",
            flag_fit="on",
            flag_evaluate="off",
            calls=sum(1 for other in switches.fit.noises if other[:2] == key[:2]),
            override=Override(
                f"F.{function} is called without training=self.training, or by a layer that eval() doesn't reach, made"
                " in forward or kept in a plain list",
                "function",
            )
            if stuck
            else None,
        )
    return list(rows.values())


def _is_normalisation(module):
    return isinstance(module, RUNNING) or trying.by_sample(module) or owned.is_normalisation(module)


def _described(model, path, module, done, fit_mode, evaluate_modes, trainable):
    fit, evaluate, moves, moves_there = done
    kept = _kept(model, path, module, trainable, (set(), set()), None)
    return Layer(
        name=path,
        kind=type(module).__name__,
        role="normalisation",
        switch=fit != evaluate,
        fit=fit,
        evaluate=evaluate,
        flag_fit=flag(module, fit_mode),
        flag_evaluate="moving" if trying.keeps(module) else evaluate,
        calls=1,
        override=why(model, path, evaluate_modes),
        **(kept | {"moves": moves, "moves_in_evaluation": moves_there}),
    )
