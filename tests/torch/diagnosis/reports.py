"""What people reported in public, made small: a function that returns (model, data, options of `compare.diagnose`).

Those that `stories` and `figures` hold already aren't here; `test_reports` has the table of all of them.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

import compare
from tests.torch.diagnosis.stories import CE, plain, pretrained, told
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy


class Parts(nn.Module):
    """A backbone and a head, as detectors and segmenters are built."""

    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x):
        return self.head(self.backbone(x))


class EvaluatedBackbone(Parts):
    """``norm_eval=True``: the backbone's normalisation stays in evaluation mode, the head's doesn't."""

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self


def _head():
    torch.manual_seed(4)
    return nn.Sequential(
        nn.BatchNorm1d(24), nn.Linear(24, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)
    )


def norm_eval_covers_the_backbone_only():
    return told(EvaluatedBackbone(pretrained()[:-1], _head()), loader(toy(seed=3)), epochs=12)


class FreezesOnce(Parts):
    """Frozen at construction; the loop's ``model.train()`` undoes it for the statistics."""

    def __init__(self):
        super().__init__(pretrained()[:-1], nn.Linear(24, 3))
        self.backbone.requires_grad_(False)
        for norm in norms(self.backbone):
            norm.eval()
            norm.momentum = 0.03


def a_freeze_that_train_undoes():
    return told(FreezesOnce(), loader(toy(shift=4.0, seed=3)), epochs=3, rate=0.03)


def normalisation_trains_inside_a_frozen_backbone():
    net = Parts(pretrained()[:-1], nn.Linear(24, 3))
    net.backbone.requires_grad_(False)
    for norm in norms(net.backbone):
        norm.requires_grad_(True)
    return told(net, loader(toy(seed=3)), epochs=8)


def evaluation_mode_stays_on_in_training():
    """``test()`` calls ``net.eval()`` and nobody calls ``train()`` again."""
    net, data = mlp(drop=0.5), loader(toy())
    fit(net.train(), data, 6)
    net.eval()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with compare.torch.watch(net) as seen:
        for x, y in data:
            loss = CE(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen(loss, len(y))
    return net, data, {"loss": CE, "reported": seen}


def validation_in_training_mode_learns_the_images():
    """The step forgets the mode, so that an evaluation is a training pass without a gradient."""
    net, data, _ = told(mlp(drop=0.3), loader(toy(shift=2.0)))

    def step(model, batch):
        return CE(model.train()(batch[0]), batch[1])

    return net, data, {"step": step}


def validation_draws_random_numbers():
    """A shuffled validation loader moves the generator on, and nothing else."""
    net, data, other = mlp(), loader(toy()), loader(toy(96, seed=5), shuffle=True)
    for _ in range(14):
        fit(net.train(), data, 1, settle=False)
        evaluated(net, other)
    return (
        net,
        data,
        {"loss": CE, "reported": {"loss": fit(net, data, 1), "evaluate_loss": evaluated(net, data)}},
    )


class Inner(nn.Module):
    """What MAML does: weights are adapted in a copy, and so are the buffers; the module's own never move."""

    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x):
        return self.net(x)


def buffers_of_a_functional_copy():
    net, data = Inner().train(), loader(toy(shift=2.0))
    weights = {name: value.detach().clone().requires_grad_() for name, value in net.named_parameters()}
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    optimizer = torch.optim.Adam(list(weights.values()), 0.01)
    for _ in range(12):
        for x, y in data:
            optimizer.zero_grad()
            CE(functional_call(net, (weights, buffers), (x,)), y).backward()
            optimizer.step()
    net.load_state_dict(weights | dict(net.named_buffers()))
    return net, data, {"loss": CE}


def images_of_their_own_brightness():
    """An image-to-image network at batch 1, which is meant to use each image's own statistics."""
    g = torch.Generator().manual_seed(0)
    light = 4 * torch.randn(16, 1, 1, 1, generator=g)
    shape = torch.randn(16, 1, 8, 8, generator=g)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)
    )
    net, data, options = told(net, loader((shape + light, shape), 1), loss=F.l1_loss, epochs=15, rate=0.02)
    return net, data, {"loss": F.l1_loss, "reported": {"loss": options["reported"]["loss"]}}


def batches_of_two():
    """Statistics gathered as the mean of small batches' variances, beside those of all samples."""
    net, data, _ = told(mlp(), loader(toy(64), 2), epochs=4)
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for x, _ in data:
            net.train()(x)
    return net, data, {"loss": CE}


class Mixed(nn.Module):
    """Mixup as a layer: each sample with a random other one, in training only."""

    def forward(self, x):
        return 0.5 * x + 0.5 * x[torch.randperm(len(x))] if self.training else x


def mixup():
    return told(nn.Sequential(Mixed(), *plain()), loader(toy()), epochs=6)


def smoothed_targets():
    """Training's loss has label smoothing, which evaluation's hasn't; the reporter had only the figures."""
    net, data = plain(), loader(toy())
    seen = {"loss": fit(net.train(), data, 20, loss=nn.CrossEntropyLoss(label_smoothing=0.1))}
    return net, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(net, data)}}


def a_constant_input():
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(10), nn.ELU(), nn.GroupNorm(10, 10), nn.Flatten(), nn.LogSoftmax(1))
    return net, loader((torch.ones(16, 10, 4, 4), torch.arange(16) % 160), 8), {"loss": F.nll_loss}


def _segmenter():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    decoder = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    return Parts(encoder, decoder)


def jaccard(outputs, targets):
    """One minus intersection over union of the whole batch: no mean over samples."""
    p = outputs.sigmoid()
    both = (p * targets).sum()
    return 1 - both / (p.sum() + targets.sum() - both)


def a_frozen_encoder_and_a_loss_of_the_whole_batch():
    def masks(shift, seed):
        x = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        return shift + x, (F.avg_pool2d(x, 3, 1, 1) > 0.3).float()

    net = _segmenter()
    fit(net.train(), loader(masks(0.0, 0), 16), 30, 0.03, loss=jaccard)
    net.backbone.requires_grad_(False)
    for norm in norms(net):
        norm.momentum = 0.0
    data = loader(masks(5.0, 1), 16)
    seen = {"loss": fit(net, data, 6, 0.003, loss=jaccard), "evaluate_loss": evaluated(net, data, jaccard)}
    return net, data, {"loss": jaccard, "reported": seen}


def the_other_preprocessing_of_a_pretrained_network():
    """Trained with the Caffe preprocessing, used with plain images of 0..255."""
    from tests.torch.diagnosis.figures import images, network

    net, (x, y) = network(), images()
    mean = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    fit(net.train(), loader((x.flip(1) * 255 - mean, y)), 10)
    for norm in norms(net):
        norm.momentum = 0.0
    data = loader((x * 255, y))
    for _ in range(3):
        fit(net, data, 1, 0.001)
    return net, data, {"loss": CE, "reported": {"loss": fit(net, data, 2, 0.001)}}


def a_file_without_statistics():
    """Only what trains was saved."""
    net, data = mlp(), loader(toy(shift=3.0))
    seen = {"loss": fit(net.train(), data, 12)}
    other = mlp(seed=9)
    other.load_state_dict(dict(net.named_parameters()), strict=False)
    return other, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(other, data)}}


def one_layer_whose_variance_exploded():
    """A reduction over devices that goes wrong in one layer."""
    net, data, _ = told(mlp(), loader(toy()), epochs=12)
    net[4].running_var *= 6e4
    return net, data, {"loss": CE}


def the_weights_follow_the_last_samples():
    """Batches of one in the order of time: the network forgets what it saw first."""
    g = torch.Generator().manual_seed(0)
    time = torch.linspace(-1, 1, 128)[:, None]
    x = torch.randn(128, 4, generator=g)
    y = x[:, :1] + 6 * time
    torch.manual_seed(0)
    net, data = nn.Linear(4, 1), loader((x, y), 1)
    optimizer, losses = torch.optim.SGD(net.parameters(), 0.1), []
    for _ in range(3):
        losses = []
        for a, b in data:
            loss = F.mse_loss(net(a), b)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    seen = {"loss": sum(losses) / len(losses), "evaluate_loss": evaluated(net, data, F.mse_loss)}
    return net, data, {"loss": F.mse_loss, "reported": seen}


def labels_taken_in_one_pass_and_outputs_in_another():
    """A loader that shuffles itself: each pass has another order, which by itself is no harm."""
    x, y = toy()
    data = DataLoader(TensorDataset(x, y), 32, shuffle=True)
    net = plain()
    seen = {"loss": fit(net.train(), data, 10)}
    with torch.no_grad():
        outputs = torch.cat([net(a) for a, _ in data])
        labels = torch.cat([b for _, b in data])
    seen["evaluate_loss"] = CE(outputs, labels).item()
    return net, data, {"loss": CE, "reported": seen}


def dice_by_batch():
    """A mean over batches of something that isn't a mean over samples, the last batch smaller."""
    x = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = (F.avg_pool2d(x, 3, 1, 1) > 0.2).float()
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    data = loader((x, y), 16)
    fit(net.train(), data, 40, 0.03, loss=jaccard)
    y[16:] = 1 - y[16:]
    data = loader((x, y), 16)
    with torch.no_grad():
        mean = sum(jaccard(net(a), b).item() for a, b in data) / 2
    return (
        net,
        data,
        {"loss": jaccard, "reported": {"loss": evaluated(net, data, jaccard), "evaluate_loss": mean}},
    )


def variances_that_are_never_updated():
    """The means move and the variances don't."""
    net, data = mlp(), loader(toy(scale=0.1))
    for _ in range(12):
        seen = {"loss": fit(net.train(), data, 1, settle=False)}
        for norm in norms(net):
            norm.running_var.fill_(1)
    return net, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(net, data)}}


def a_few_steps_of_sorted_samples():
    """A training that takes three batches of sorted samples sees the first classes only."""
    x, y = toy()
    order = y.argsort(stable=True)
    data, net = loader((x[order], y[order])), plain()
    seen = {"loss": fit(net.train(), loader((x[order][:96], y[order][:96])), 10)}
    seen["evaluate_loss"] = evaluated(net, data)
    return (
        net,
        data,
        {"loss": CE, "reported": seen, "evaluate_data": loader((x[order], y[order])), "steps": 3},
    )
