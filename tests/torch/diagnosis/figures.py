"""What people meet with figures, data and weights, each small: a function that returns (model, data, options)."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.torch.diagnosis.stories import CE, plain
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy, trained


def weights_move():
    net, seen = trained(plain(), loader(toy()), epochs=1, settle=False)
    return net, loader(toy()), {"loss": CE, "reported": seen}


def last_batch_counts_as_a_whole_one():
    x, y = toy(130)
    y = y.clone()
    y[128:] = (y[128:] + 1) % 3
    data, net = loader((x, y)), plain()
    fit(net.train(), loader((x[:128], y[:128])), 10)
    with torch.no_grad():
        mean = sum(CE(net(a), b).item() for a, b in data) / len(data)
    return net, data, {"loss": CE, "reported": {"loss": evaluated(net, data), "evaluate_loss": mean}}


def four_micro_batches():
    net, seen = trained(plain(), loader(toy()))
    return net, loader(toy()), {"loss": CE, "reported": seen | {"loss": seen["evaluate_loss"] / 4}}


def one_metric_object_for_both():
    net, data, other = plain(), loader(toy(80)), loader(toy(20, seed=5))
    fit(net.train(), data, 10)
    with torch.no_grad():
        hits = [sum((net(x).argmax(1) == y).sum().item() for x, y in part) for part in (data, other)]
    seen = {"loss": evaluated(net, data), "evaluate_loss": evaluated(net, other)}
    seen |= {"accuracy": hits[0] / 80, "evaluate_accuracy": sum(hits) / 100}
    return net, data, {"loss": CE, "evaluate_data": other, "reported": seen}


def smoothing_in_training():
    net = plain()
    fit(net, loader(toy()))

    def step(model, batch):
        x, y = batch
        outputs = model(x)
        loss = CE(outputs, y, label_smoothing=0.1 if model.training else 0.0)
        return {"loss": loss, "outputs": outputs, "targets": y, "n": len(y)}

    return net, loader(toy()), {"step": step}


def weighted_samples():
    x, y = toy()
    net = plain()
    fit(net, loader((x, y)), 3)
    weights = torch.where(y == 0, 0.1, 1.0)
    return net, loader((x, y, weights)), {"loss": CE, "evaluate_data": loader((x, y))}


def threshold_of_logits():
    x, y = toy(classes=2)
    y, loss = y.float()[:, None], F.binary_cross_entropy_with_logits
    torch.manual_seed(0)
    net, data = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 1)), loader((x, y))
    fit(net, data, 3, loss=loss, rate=0.003)
    return (
        net,
        data,
        {"loss": loss, "metrics": {"accuracy": lambda o, t: ((o > 0.5) == (t > 0.5)).float().mean()}},
    )


def accuracy_of_the_wrong_kind():
    net, seen = trained(plain(), loader(toy()), epochs=5)
    return net, loader(toy()), {"loss": CE, "reported": seen | {"accuracy": 0.93, "evaluate_accuracy": 0.31}}


def images(count=160, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (count,), generator=g)
    x = 0.3 + 0.1 * torch.randn(count, 3, 8, 8, generator=g)
    for k in range(3):
        x[y == k, k] += 0.3
    return scale * (x + torch.tensor([0.0, 0.2, 0.5])[:, None, None]), y


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 16, 3, bias=False),
        nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def batches_of_one_image():
    x, y = images(24)
    x = x + torch.randn(24, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    net, seen = trained(network(), loader((x, y), 1), epochs=20)
    return net, loader((x, y), 1), {"loss": CE, "reported": seen}


def scaled_twice():
    net = network()
    fit(net.train(), loader(images(scale=255.0)), 10)
    for norm in norms(net):
        norm.momentum = 0.01
    data = loader(images(seed=5))
    seen = {"loss": fit(net, data, 4, 0.001)}
    return net, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(net, data)}}


def evaluation_is_not_scaled():
    net, data = network(), loader(images())
    seen = {"loss": fit(net.train(), data, 12)}
    return net, data, {"loss": CE, "evaluate_data": loader(images(scale=255.0)), "reported": seen}


def evaluation_has_the_channels_in_the_other_order():
    net, (x, y) = network(), images()
    fit(net.train(), loader((x, y)), 12)
    return net, loader((x, y)), {"loss": CE, "evaluate_data": loader((x.flip(1), y))}


def held_out_samples():
    net, data, other = mlp(), loader(toy(96)), loader(toy(96, seed=77))
    seen = {"loss": fit(net.train(), data, 20), "evaluate_loss": evaluated(net, other)}
    return net, data, {"loss": CE, "evaluate_data": other, "reported": seen}


def labels_of_another_order():
    net, (x, y) = mlp(), toy()
    seen = {"loss": fit(net.train(), loader((x, y)), 12)}
    parted = loader((x[torch.randperm(256, generator=torch.Generator().manual_seed(0))], y))
    return net, loader((x, y)), {"loss": CE, "evaluate_data": parted, "reported": seen}


def labels_taken_in_another_pass():
    net, data, options = labels_of_another_order()
    parted = options.pop("evaluate_data")
    options["reported"]["evaluate_loss"] = evaluated(net, parted)
    return net, data, options


def nothing_of_the_file_fits():
    net, data = mlp(), loader(toy())
    seen = {"loss": fit(net.train(), data, 12)}
    other = mlp(seed=9)
    other.load_state_dict(
        {f"model.{name}": values for name, values in net.state_dict().items()}, strict=False
    )
    return other, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(other, data)}}


def part_of_the_file_fits():
    net, data = mlp(), loader(toy())
    seen = {"loss": fit(net.train(), data, 12)}
    other = mlp(seed=9)
    other.load_state_dict({n: v for n, v in net.state_dict().items() if not n.startswith("6")}, strict=False)
    return other, data, {"loss": CE, "reported": seen | {"evaluate_loss": evaluated(other, data)}}


def sums_leave_half_precision():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, 1, 320, 320, generator=g).half(), torch.ones(4, 1, 320, 320).half()

    def dice(outputs, targets):
        p = outputs.sigmoid()
        both, each = (p * targets).sum(dim=(1, 2, 3)), p.sum(dim=(1, 2, 3)) + targets.sum(dim=(1, 2, 3))
        return (1 - 2 * both / each).mean()

    return nn.Conv2d(1, 1, 1).half(), loader((x, y), 2), {"loss": dice}
