"""An epoch that was recorded shows at its end what weights that moved can't have done."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
import compare.torch
from tests.torch.diagnosis.toys import copied, loader, toy

CE, BCE = F.cross_entropy, F.binary_cross_entropy_with_logits


def network(outputs=3, drop=0.0):
    torch.manual_seed(1)
    layers = nn.Linear(8, 48), nn.LayerNorm(48), nn.ReLU(), nn.Dropout(drop), nn.Linear(48, outputs)
    return nn.Sequential(*layers)


def rare():
    """Two classes, of which one is rare and not quite told by the inputs."""
    x, _ = toy(480)
    score = x[:, 0] + 0.5 * x[:, 1] + 0.5 * torch.randn(480, generator=torch.Generator().manual_seed(8))
    return x, (score > score.quantile(0.85)).float()[:, None]


def mixed(x, y):
    other = torch.randperm(len(x))
    return 0.6 * x + 0.4 * x[other], 0.6 * F.one_hot(y, 3) + 0.4 * F.one_hot(y[other], 3)


def told(net, data, loss, own=None, epochs=6, rate=0.005, divide=1, change=None, weights=None):
    """Train with a loss of the loop's own, record the last epoch, and diagnose with the loss that is said."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    kept = net
    for epoch in range(epochs):
        kept = copied(net) if epoch == weights else kept
        with compare.torch.watch(net) as seen:
            for i, batch in enumerate(data):
                x, y = batch if change is None else change(*batch)
                value = (own or loss)(net(x), y) / divide
                value.backward()
                seen(value, len(x))
                if (i + 1) % divide == 0:
                    optimizer.step()
                    optimizer.zero_grad()
    found = compare.diagnose(kept, data, loss=loss, reported=seen)
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap, rel=1e-6)
    return found


@pytest.mark.parametrize("divide", [2, 4, 8])
def test_a_division_by_micro_batches_is_seen_though_weights_moved(divide):
    found = told(network(), loader(toy(480), 16), CE, divide=divide, epochs=4, rate=0.004)
    assert [one.cause for one in found.findings] == ["aggregation"]
    assert f"divided by {divide}," in found.findings[0].evidence
    assert found.findings[0].value == pytest.approx((divide - 1) * found.reported["loss"])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("data", "loss", "own", "change"),
    [
        (rare(), BCE, lambda outputs, y: BCE(outputs, y, pos_weight=torch.tensor(5.5)), None),
        (toy(480), CE, None, mixed),
    ],
    ids=["pos_weight", "mixup"],
)
def test_a_loss_that_the_loop_alone_has_is_another_objective(data, loss, own, change, shuffle):
    torch.manual_seed(2)
    found = told(
        network(data[1][0].numel() if loss is BCE else 3), loader(data, 16, shuffle), loss, own, change=change
    )
    assert [(one.cause, one.harmful) for one in found.findings] == [("objective", False)]


@pytest.mark.parametrize("drop", [0.0, 0.5])
@pytest.mark.parametrize("shuffle", [False, True])
def test_weights_that_moved_are_no_other_objective(drop, shuffle):
    torch.manual_seed(2)
    found = told(
        network(drop=drop), loader(toy(480), 16, shuffle), CE, epochs=1 if not drop else 2, rate=0.01
    )
    causes = [one.cause for one in found.findings]
    assert drop or "weights-moved" in causes
    assert not {"objective", "aggregation", "other-weights"} & set(causes)
    assert not found.harmful


def test_losses_that_were_far_less_at_the_end_are_perhaps_of_other_weights():
    found = told(network(), loader(toy(480), 16), CE, weights=2)
    assert [(one.cause, one.harmful) for one in found.findings] == [("other-weights", False)]


def test_without_a_record_it_is_said_what_would_tell():
    net, data = network(), loader(toy(480), 16)
    seen = told(net, data, CE, epochs=1, rate=0.01).reported
    found = compare.diagnose(net, data, loss=CE, reported=seen)
    assert found.findings[0].cause == "weights-moved"
    assert "compare.torch.watch" in found.findings[0].evidence
