"""What a batch comes to: the loss and the metrics of a person's model, whoever computes them.

A plain module with a ``loss(outputs, targets)``, a ``step(model, batch)`` of the person's own, a LightningModule
with its ``training_step`` and ``validation_step``, a Hugging Face ``Trainer`` with its ``compute_loss``.
"""

import copy
import inspect
from contextlib import nullcontext

import torch
import torch.nn.functional as F

from . import logged, nested
from .evidence import Batch, Step

# what the only input of a batch with names is called where a model takes it without its name
_ONE_INPUT = ("x", "inputs", "input", "image", "images")
# what the weights of the samples are called where a loss takes them
_WEIGHTS = ("w", "weights", "sample_weight", "sample_weights", "weight_of")


class Objective:
    """Computes a batch's loss, in training and in evaluation.

    Args:
        model: an ``nn.Module``, a LightningModule, or a trainer of Lightning or Hugging Face.
        loss: ``loss(outputs, targets)``, perhaps with a third argument, the samples' weights.
        step: ``step(model, batch)``, returns a loss or a dictionary of ``loss``, ``n``, ``outputs``, ``targets``.
        metrics: name -> callable(outputs, targets).

    Attributes:
        separate: whether training and evaluation have an objective each, which may differ.

    Raises:
        ValueError: the model can't say what its loss is, and none is given.
    """

    def __init__(self, model, loss=None, step=None, metrics=None):
        self.model, self.module = model, module_of(model)
        self.loss, self.step = _own(loss), step
        self.metrics = {name: _own(metric) for name, metric in (metrics or {}).items()}
        lightning = hasattr(self.module, "training_step") and hasattr(self.module, "configure_optimizers")
        self.trainer = model if callable(getattr(model, "compute_loss", None)) else None
        self.lightning = lightning and step is None and loss is None
        self.separate = self.lightning or step is not None
        # whether code of the person's own makes the loss, which may read the mode of what it is given
        self.reads = loss is None
        self.weighted = loss is not None and _takes_weights(loss)
        self._takes_all = None  # whether the loss takes all that the model makes, once it was tried
        self.device = _device(self.module)
        self.dtype = next(
            (p.dtype for p in self.module.parameters() if p.is_floating_point()), torch.get_default_dtype()
        )
        self._logging = logged.Logging(self.module)

    def batch(self, raw):
        """Unpack what the data gave, and bring it to the model's device."""
        # NumPy's fractions have double precision unless somebody says otherwise
        raw = nested.moved(raw, self.device, self.dtype)
        return Batch(raw, *self._parts(raw), nested.size(raw))

    def _parts(self, raw):
        """Inputs, targets and weights of a batch, as far as its form says which they are."""
        if hasattr(raw, "keys"):
            target = next((name for name in nested.TARGETS if name in raw), None)
            inputs = {name: raw[name] for name in nested.names(raw) if name != target}
            if len(inputs) == 1 and next(iter(inputs)) in _ONE_INPUT:
                inputs = next(iter(inputs.values()))
            return inputs, None if target is None else raw[target], None
        if isinstance(raw, list | tuple) and len(raw) > 2 and self.separate:
            # what a step of the person's own takes: several inputs, and targets at the end
            return tuple(raw[:-1]), raw[-1], None
        if isinstance(raw, list | tuple) and 1 <= len(raw) <= 3:
            if self.loss is not None and len(raw) > 1 and isinstance(nested.plain(raw[1]), int | float):
                raise ValueError("data gives single samples and not batches: give a DataLoader over them")
            return (*raw, None, None)[:3]
        return raw if isinstance(raw, torch.Tensor) else None, None, None

    def measure(self, batch, training, keep=False, index=0):
        """Compute what a batch comes to; the modules' modes are as they are.

        Args:
            batch: a `Batch`.
            training: whether the objective is training's, where the two differ.
            keep: whether the `Step` holds outputs and targets.
            index: of the batch.
        """
        if self.lightning:
            said = self._logging.step(batch.raw, training, index)
        elif self.step is not None:
            said = _stepped(self.step, self.module, batch.raw)
        elif self.trainer is not None and self.loss is None:
            said = self._of_trainer(batch)
        elif self.loss is not None:
            made = call(self.module, batch.inputs)
            said = {"loss": self._of_outputs(made, batch), "outputs": _scores(made), "targets": batch.targets}
        else:
            said = self._of_itself(batch)
        said = said if isinstance(said, dict) else {"loss": said}
        return self._as_step(said, batch, keep)

    def outputs(self, batch):
        """What the model makes of a batch; None where only the person's step knows how to call it."""
        if batch.inputs is None:
            return None
        try:
            return _scores(call(self.module, batch.inputs))
        except Exception:
            if self.loss is not None:
                raise
            return None

    def _as_step(self, said, batch, keep):
        if "loss" not in said:
            raise ValueError(f"step returned {sorted(said)}; it must return a loss, or a dictionary with one")
        loss = self._number(said["loss"])
        outputs, targets = said.get("outputs"), said.get("targets", batch.targets)
        size = int(said.get("n", batch.size))
        metrics = {name: logged.number(value) for name, value in said.get("metrics", {}).items()}
        if outputs is not None and targets is not None:
            metrics |= {
                name: logged.number(metric(outputs, targets)) for name, metric in self.metrics.items()
            }
            if "accuracy" not in metrics and (hits := accuracy(outputs, targets, loss)) is not None:
                metrics["accuracy"] = hits
        shuffled = lesser = unweighted = constant = None
        if self.loss is not None and isinstance(targets, torch.Tensor):
            shuffled = _quietly(lambda: logged.number(self.loss(outputs, targets.roll(1, 0))))
            if isinstance(outputs, torch.Tensor) and outputs.is_floating_point() and outputs.ndim:
                same = outputs.mean(0, keepdim=True).expand_as(outputs)
                constant = _quietly(lambda: logged.number(self.loss(same, targets)))
            if isinstance(outputs, torch.Tensor) and outputs.dtype in nested.LESSER:
                lesser = _quietly(lambda: logged.number(self.loss(outputs.float(), _float(targets))))
            if batch.weights is not None:
                unweighted = _quietly(lambda: logged.number(self.loss(outputs, targets)))
        return Step(
            loss=loss,
            size=size,
            weight=float(size),
            metrics=metrics,
            shuffled=shuffled,
            loss_in_float32=lesser,
            unweighted=unweighted,
            outputs=nested.array(outputs) if keep else None,
            targets=nested.array(targets) if keep else None,
            constant=constant,
        )

    def _number(self, loss):
        try:
            return logged.number(loss)
        except (TypeError, ValueError):
            who = "step" if self.step is not None else "loss" if self.loss is not None else "the model"
            raise ValueError(
                f"{who} returned {type(loss).__name__} for a loss; it must be a number"
            ) from None

    def _of_outputs(self, made, batch):
        """The loss of what the model made: a person's takes all of that, or the scores alone as PyTorch's own do."""
        scores = _scores(made)
        try:
            if scores is not made and self._takes_all is not False:
                try:
                    loss = self._weighted(made, batch)
                    self._takes_all = True
                    return loss
                except Exception:
                    if self._takes_all:
                        raise
                    self._takes_all = False
            return self._weighted(scores, batch)
        except Exception as error:
            if not isinstance(scores, torch.Tensor):
                what = type(made).__name__ + (f" of {len(made)}" if hasattr(made, "__len__") else "")
                error.add_note(
                    f"the model returns a {what}: give step(model, batch) in place of loss, and unpack it there"
                )
            raise

    def _weighted(self, outputs, batch):
        """The person's loss, sample by sample where they have weights that it doesn't take."""
        if batch.weights is None:
            return self.loss(outputs, batch.targets)
        if self.weighted:
            return self.loss(outputs, batch.targets, batch.weights)
        each = [self.loss(nested.one(outputs, i), nested.one(batch.targets, i)) for i in range(batch.size)]
        return (torch.stack(each) * batch.weights.reshape(-1)).mean()

    def _of_itself(self, batch):
        """A model that computes its own loss, as those of Hugging Face do from ``labels``."""
        outputs = call(self.module, batch.raw if isinstance(batch.raw, dict) else batch.inputs)
        loss = outputs.get("loss") if isinstance(outputs, dict) else getattr(outputs, "loss", None)
        if loss is None:
            raise ValueError("no loss: a PyTorch module doesn't know its own; give loss or step")
        return {"loss": loss, "outputs": _scores(outputs), "targets": batch.targets}

    def _of_trainer(self, batch):
        """A trainer of Hugging Face computes the loss, perhaps divided by how many items it counts in a batch."""
        with getattr(self.trainer, "compute_loss_context_manager", nullcontext)():
            counted = _counted(self.trainer, dict(batch.raw), self.device)
            loss, outputs = self.trainer.compute_loss(
                self.module, dict(batch.raw), return_outputs=True, **counted
            )
        return {"loss": loss, "outputs": _scores(outputs), "targets": batch.targets}

    def logging(self):
        """Stand in for what a LightningModule calls while several passes are under way."""
        return self._logging.taking() if self.lightning else nullcontext()


def module_of(model):
    """The module of a model or a trainer, without the wrapper of ``torch.compile``.

    Raises:
        ValueError: it has none, or one that can't be watched.
    """
    for name in ("lightning_module", "model"):
        if not isinstance(model, torch.nn.Module) and isinstance(getattr(model, name, None), torch.nn.Module):
            model = getattr(model, name)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model is {type(model).__name__}; it must be a torch.nn.Module or a trainer of one")
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            what = f"model.{path}" if path else "model"
            raise ValueError(
                f"{what} is compiled by torch.jit, which hides what it does: give the module it is made of"
            )
    return getattr(model, "_orig_mod", model)


def call(module, inputs):
    """Call a module with one input, several, or named ones."""
    if hasattr(inputs, "keys"):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, list | tuple) else module(inputs)


def accuracy(outputs, targets, loss):
    """The share of right classes, where outputs and targets are a classification; None where they aren't.

    Labels with scores ``(N, K, ...)``; one-hot rows with scores; 0 and 1 with logits or probabilities. Which of both
    the last are is told by the loss where all are between 0 and 1, as logits of a small batch may be.
    """
    if not (isinstance(outputs, torch.Tensor) and isinstance(targets, torch.Tensor)) or not outputs.numel():
        return None
    if not targets.is_floating_point() and targets.dtype != torch.bool and outputs.ndim == targets.ndim + 1:
        if outputs.shape[0] == targets.shape[0] and outputs.shape[2:] == targets.shape[1:]:
            return (outputs.argmax(1) == targets).float().mean().item()
        return None
    if outputs.shape != targets.shape or not ((targets == 0) | (targets == 1)).all():
        return None
    if outputs.ndim == 2 and outputs.shape[1] > 1 and (targets.sum(1) == 1).all():
        return (outputs.argmax(1) == targets.argmax(1)).float().mean().item()
    threshold = 0.5 if _are_probabilities(outputs, targets, loss) else 0.0
    return ((outputs > threshold) == (targets > 0.5)).float().mean().item()


def _are_probabilities(outputs, targets, loss):
    if outputs.min() < 0 or outputs.max() > 1:
        return False
    outputs, targets = outputs.detach().float(), targets.float()
    of_both = (F.binary_cross_entropy, F.binary_cross_entropy_with_logits)
    apart = [abs(measure(outputs, targets).item() - loss) for measure in of_both]
    return apart[0] <= apart[1]


def _scores(outputs):
    """What a loss of PyTorch's own takes of a model's outputs: all of them, or those that are called logits."""
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    return getattr(outputs, "logits", outputs)


def _stepped(step, module, raw):
    try:
        return step(module, raw)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise ValueError(
                "step computes gradients; it must return the loss alone, without backward(), an optimizer's step or a"
                " gradient penalty"
            ) from error
        raise


def _takes_weights(loss):
    try:
        names = list(inspect.signature(loss).parameters.values())
    except (TypeError, ValueError):
        return False
    third = names[2] if len(names) > 2 else None
    return third is not None and third.name in _WEIGHTS


def _counted(trainer, batch, device):
    """How many items a Hugging Face trainer counts in a batch, and divides its loss by; nothing where it doesn't."""
    if "num_items_in_batch" not in inspect.signature(trainer.compute_loss).parameters:
        return {}
    count = getattr(trainer, "get_batch_samples", None)
    found = _quietly(lambda: count(iter([batch]), 1, device)[1])
    return {} if found is None else {"num_items_in_batch": found}


def _own(function):
    """A copy of a loss or a metric that is a module, such as torchmetrics': what it counts isn't for the person's."""
    return copy.deepcopy(function) if isinstance(function, torch.nn.Module) else function


def _device(module):
    devices = {str(t.device) for t in (*module.parameters(), *module.buffers())}
    if len(devices) > 1:
        raise ValueError(f"model is on several devices ({', '.join(sorted(devices))}); it must be on one")
    if devices == {"meta"}:
        raise ValueError("model is on the device meta, which holds no values: load its weights first")
    return torch.device(devices.pop() if devices else "cpu")


def _float(targets):
    return targets.float() if targets.is_floating_point() else targets


def _quietly(function):
    """A figure that is nice to have: None where the person's loss can't give it."""
    try:
        return function()
    except Exception:
        return None
