"""Fit and evaluate in PyTorch: an explicit loop.

A batch is ``(images, labels)``: float32 arrays ``(N, H, W, C)`` (or features ``(N, C)``) and ``(N, 1)``;
of K classes ``(N, K)``, 1 in the class's column.
"""

import math

import torch
import torch.nn.functional as F

from . import bn_policy
from .batches import tensors
from .metrics import measure

# steps whose losses a device gives back together
LOOK = {"cpu": 1, "cuda": 16, "mps": 16}


class NonFiniteLossError(ArithmeticError):
    """The training loss became NaN or infinite; ``epoch`` and ``step`` (from 1) say when."""

    def __init__(self, epoch, step):
        super().__init__(f"loss is not finite at epoch {epoch}, step {step}")
        self.epoch, self.step = epoch, step


def start(seed):
    """Forget earlier models of this process and seed the framework, so that a training repeats itself."""
    torch.manual_seed(seed)


def fit(model, optimizer, train, *, epochs, patience=5, reduce_lr=False, after_step=None, after_epoch=None):
    """Train on cross-entropy, as Keras's ``fit`` would.

    Args:
        model: a transfer model, or its head, with the policy already set (`bn_policy.apply`).
        optimizer: of the model's trainable parameters.
        train: maps an epoch (from 0) to its sequence of batches.
        epochs: at most this many.
        patience: epochs without a lower val_loss before training stops.
        reduce_lr: multiply the learning rate by 0.1 after 5 epochs in which val_loss fell by less than 1e-4.
        after_step: called with (epoch, step, mean loss of the epoch so far), all counted from 0.
        after_epoch: called with (epoch, the epoch's row of the history); returns the val_loss that the last two watch.

    Returns:
        For each epoch a dict of ``loss``, the metrics (`metrics.measure`) and ``learning_rate``.

    Raises:
        NonFiniteLossError: the mean loss of the epoch so far is no longer a finite number.
    """
    history = []
    best, waited = math.inf, 0
    # DIFFERS: Keras reduces after `patience` bad epochs, PyTorch after one more
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=4, threshold=1e-4, threshold_mode="abs"
    )
    for epoch in range(epochs):
        rate = optimizer.param_groups[0]["lr"]
        logs = _train_epoch(model, optimizer, train(epoch), epoch, after_step)
        history.append({**logs, "learning_rate": rate})
        val_loss = after_epoch(epoch, history[-1]) if after_epoch else logs["loss"]
        if reduce_lr:
            scheduler.step(val_loss)
        best, waited = (val_loss, 0) if val_loss < best else (best, waited + 1)
        if waited >= patience:
            break
    return history


def probabilities(logits):
    """Turn logits into probabilities, of the positive class or of each."""
    return logits.sigmoid() if logits.shape[-1] == 1 else logits.softmax(-1)


def _train_epoch(model, optimizer, batches, epoch, after_step):
    model.train()
    bn_policy.hold(model)  # model.train() has just woken every BN module
    seen, outputs, labels = _Seen(epoch, after_step), [], []
    for step in range(len(batches)):
        x, y = tensors(batches[step], model)
        optimizer.zero_grad()
        loss, logits = loss_of(model, x, y)
        loss.backward()
        optimizer.step()
        seen.take(loss.detach(), len(y))
        outputs.append(probabilities(logits.detach()))
        labels.append(y)
    return {"loss": seen.mean(), **measure(torch.cat(outputs), torch.cat(labels))}


class _Seen:
    """The losses of an epoch so far: read back at once on the CPU, on an accelerator some steps at a time.

    To read one back is to wait for it, and the accelerator then waits for its next step.
    """

    def __init__(self, epoch, after_step):
        self.epoch, self.after_step = epoch, after_step
        self.total, self.count, self.steps, self.waiting = 0.0, 0, 0, []

    def take(self, loss, samples):
        self.waiting.append((loss, samples))
        if len(self.waiting) == LOOK.get(loss.device.type, 1):
            self.look()

    def look(self):
        losses = torch.stack([loss for loss, _ in self.waiting]).tolist() if self.waiting else []
        for loss, (_, samples) in zip(losses, self.waiting, strict=True):
            self.total, self.count, self.steps = (
                self.total + loss * samples,
                self.count + samples,
                self.steps + 1,
            )
            if not math.isfinite(self.total):
                raise NonFiniteLossError(self.epoch + 1, self.steps)
            if self.after_step:
                self.after_step(self.epoch, self.steps - 1, self.total / self.count)
        self.waiting = []

    def mean(self):
        self.look()
        return self.total / self.count


@torch.no_grad()
def evaluate(model, batches):
    """Measure loss and metrics in inference mode (as the model's policy has it).

    Returns:
        A dict of ``loss`` and the metrics (`metrics.measure`).
    """
    model.eval()
    bn_policy.hold(model)
    total, count, outputs, labels = 0.0, 0, [], []
    for loss, logits, y in passed(model, batches):
        total, count = total + loss * len(y), count + len(y)
        outputs.append(probabilities(logits))
        labels.append(y)
    return {"loss": total / count, **measure(torch.cat(outputs), torch.cat(labels))}


@torch.no_grad()
def passed(model, batches):
    """Pass batches through a model in the mode that it is in.

    Args:
        model: has a method ``logits``, or returns logits ``(N, 1)``.
        batches: a sequence of ``(inputs, labels)`` or ``(inputs, labels, weights of the samples)``.

    Yields:
        Of each batch the mean of its weighted losses, the logits ``(N, 1)`` and the labels as tensors.
    """
    for step in range(len(batches)):
        x, y, *weights = tensors(batches[step], model)
        loss, logits = loss_of(model, x, y, *weights)
        yield loss.item(), logits, y


def loss_of(model, x, y, weights=None):
    """Compute the mean of a batch's weighted losses, and the logits, shaped as the labels, that it is of.

    DIFFERS: the loss of logits has no largest value. Keras on TensorFlow finds them behind a sigmoid or softmax; on JAX
    and on PyTorch it takes a probability that is within 1e-7 of 0 or 1 for that.
    """
    logits = getattr(model, "logits", model)(x)
    if weights is None:
        return _cross_entropy(logits, y, "mean"), logits
    losses = _cross_entropy(logits, y, "none").reshape(len(y), -1)
    return (losses * weights.reshape(-1, 1)).mean(), logits


def _cross_entropy(logits, labels, reduction):
    if labels.shape[-1] == 1:
        return F.binary_cross_entropy_with_logits(logits, labels, reduction=reduction)
    return F.cross_entropy(logits, labels, reduction=reduction)
