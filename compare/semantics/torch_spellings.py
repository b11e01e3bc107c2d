"""The spellings of PyTorch: each function is what a person writes, and is what is measured."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from compare.semantics.spelling import ONE_ROW, ROWS, Spelling, collect

SPELLINGS: list[Spelling] = []
spelling = collect(SPELLINGS)


@spelling("BatchNorm2d()")
def nothing():
    """Train with the defaults: fine-tuning. The moving variance takes in the unbiased one, unlike Keras's."""
    return nn.Sequential(nn.BatchNorm2d(3)).train()


@spelling("requires_grad_(False)")
def requires_grad():
    """Freezes gamma and beta alone: the layer normalises with the batch, and its moving statistics drift."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    model.requires_grad_(False)
    return model


@spelling("bn.eval()")
def bn_eval():
    """Moving statistics in training, kept; gamma and beta still train. The next model.train() undoes it."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    model[0].eval()
    return model


@spelling("bn.eval(), then model.train()")
def bn_eval_relapse():
    """The parent's train() wakes every module below it: nothing is left of the setting."""
    model = nn.Sequential(nn.BatchNorm2d(3))
    model[0].eval()
    model.train()
    return model


@spelling("bn.eval() and requires_grad_(False)")
def bn_frozen():
    """Frozen, until the next model.train()."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    model[0].eval()
    model[0].requires_grad_(False)
    return model


class Frozen(nn.Sequential):
    """A model whose train() leaves its BatchNorm modules in evaluation mode."""

    def train(self, mode=True):
        """Switch the mode of all but those."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@spelling("train() overridden to keep bn.eval()", helper=Frozen)
def train_overridden():
    """The setting survives model.train(); gamma and beta still train."""
    return Frozen(nn.BatchNorm2d(3)).train()


@spelling("train() overridden to keep bn.eval(), and requires_grad_(False)", helper=Frozen)
def train_overridden_frozen():
    """What trainable = False does in Keras 3."""
    return Frozen(nn.BatchNorm2d(3)).requires_grad_(False).train()


@spelling("BatchNorm2d(track_running_stats=False)")
def untracked():
    """There are no moving statistics: batch statistics in evaluation too."""
    return nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).train()


@spelling("bn.track_running_stats = False, set later")
def untracked_later():
    """Batch statistics in training, moving ones in evaluation, and no update between the two."""
    bn = nn.BatchNorm2d(3)
    bn.track_running_stats = False
    return nn.Sequential(bn).train()


@spelling("bn.track_running_stats = False, set later, and requires_grad_(False)")
def untracked_later_frozen():
    """What trainable = False did in Keras 2.1.3 to 2.3.1 and tf.keras 1.15."""
    bn = nn.BatchNorm2d(3)
    bn.track_running_stats = False
    bn.requires_grad_(False)
    return nn.Sequential(bn).train()


@spelling("BatchNorm2d(momentum=None)")
def momentum_none():
    """A cumulative mean: the first step throws the loaded statistics away."""
    return nn.Sequential(nn.BatchNorm2d(3, momentum=None)).train()


@spelling("BatchNorm2d(momentum=0)")
def momentum_zero():
    """The moving statistics stay; Keras's momentum=1.0."""
    return nn.Sequential(nn.BatchNorm2d(3, momentum=0)).train()


@spelling("BatchNorm2d(momentum=0.01, eps=1e-3)")
def momentum_of_keras():
    """Keras's momentum=0.99 and epsilon; the variance rule stays PyTorch's."""
    return nn.Sequential(nn.BatchNorm2d(3, momentum=0.01, eps=1e-3)).train()


@spelling("torchvision.ops.FrozenBatchNorm2d")
def frozen_batch_norm():
    """Gamma and beta are buffers: nothing trains, no mode matters."""
    return nn.Sequential(FrozenBatchNorm2d(3)).train()


@spelling("SyncBatchNorm.convert_sync_batchnorm")
def synchronised():
    """In one process, the same as without."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3)).train())


@spelling("bn.eval(), then SyncBatchNorm.convert_sync_batchnorm")
def synchronised_eval():
    """The conversion takes the mode over."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    model[0].eval()
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


@spelling("lr=0 for gamma and beta")
def no_rate():
    """They get gradients and stay; the moving statistics drift."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    return model, torch.optim.SGD([{"params": model.parameters(), "lr": 0.0}])


class WithoutGrad(nn.Sequential):
    """A model that computes its features under no_grad."""

    def forward(self, x):
        """Compute without a graph."""
        with torch.no_grad():
            return super().forward(x)


@spelling("torch.no_grad() around the base", helper=WithoutGrad)
def no_grad():
    """No gradient, and yet the moving statistics drift."""
    return WithoutGrad(nn.BatchNorm2d(3)).train()


@spelling("torch.compile(model)")
def compiled():
    """As without. The default backend does the same, but takes a C++ compiler and half a minute."""
    return torch.compile(nn.Sequential(nn.BatchNorm2d(3)).train(), backend="aot_eager")


@spelling("torch.compile(model), then bn.eval()")
def compiled_eval():
    """The mode is looked at in every call: a change compiles anew."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    compiled = torch.compile(model, backend="aot_eager")
    model[0].eval()
    return compiled


@spelling("torch.jit.script(model)")
def scripted():
    """As without; the mode is looked at in every call."""
    return torch.jit.script(nn.Sequential(nn.BatchNorm2d(3)).train())


@spelling("torch.jit.script(model), then model.eval()")
def scripted_eval():
    """As bn.eval() without scripting."""
    return torch.jit.script(nn.Sequential(nn.BatchNorm2d(3))).eval()


@spelling("torch.jit.trace(model.eval(), x)")
def traced_eval():
    """The mode of the moment of tracing is part of the trace for good."""
    return torch.jit.trace(nn.Sequential(nn.BatchNorm2d(3)).eval(), torch.zeros(6, 3, 2, 2)).train()


@spelling("torch.jit.trace(model.train(), x)")
def traced_train():
    """Batch statistics in evaluation too, and evaluation moves the moving ones."""
    model = nn.Sequential(nn.BatchNorm2d(3)).train()
    return torch.jit.trace(model, torch.randn(6, 3, 2, 2), check_trace=False)


class Autocast(nn.Sequential):
    """A model that computes in bfloat16 where autocast does."""

    def forward(self, x):
        """Compute under autocast."""
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x)


@spelling("torch.autocast, bfloat16", helper=Autocast, precision="bfloat16")
def autocast():
    """The convolution gives bfloat16; the layer's variables and statistics stay float32."""
    convolution = nn.Conv2d(3, 3, 1, bias=False).requires_grad_(False)
    nn.init.dirac_(convolution.weight)
    return Autocast(convolution, nn.BatchNorm2d(3)).train()


@spelling("BatchNorm1d() on (N, C)", shape=ROWS)
def rows():
    """The same rule as for images."""
    return nn.Sequential(nn.BatchNorm1d(3)).train()


@spelling("BatchNorm1d() on (1, C)", shape=ONE_ROW)
def one_row():
    """Training refuses a batch with one value a channel."""
    return nn.Sequential(nn.BatchNorm1d(3)).train()


class Functional(nn.BatchNorm2d):
    """A module that calls the function and doesn't say which mode it is in."""

    def forward(self, x):
        """Call the function."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


@spelling("F.batch_norm without training", helper=Functional)
def functional():
    """The argument's default is False: moving statistics in training too."""
    return nn.Sequential(Functional(3)).train()


class FunctionalOfMode(nn.BatchNorm2d):
    """A module that hands its mode on to the function."""

    def forward(self, x):
        """Call the function."""
        arrays = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x, *arrays, training=self.training)


@spelling("F.batch_norm, training=self.training", helper=FunctionalOfMode)
def functional_of_mode():
    """What the module does."""
    return nn.Sequential(FunctionalOfMode(3)).train()


class FunctionalAlways(nn.BatchNorm2d):
    """A module that always calls the function in training mode."""

    def forward(self, x):
        """Call the function."""
        arrays = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x, *arrays, training=True)


@spelling("F.batch_norm, training=True", helper=FunctionalAlways)
def functional_always():
    """Batch statistics in evaluation too, and evaluation moves the moving ones."""
    return nn.Sequential(FunctionalAlways(3)).train()


def epoch_averages():
    """Return no rows: PyTorch has no training loop that could average an epoch."""
    return []
