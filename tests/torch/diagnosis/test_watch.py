"""compare.torch.watch: it reads a person's own loop and changes nothing of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from compare.diagnosis import seen as seen_module
from tests.torch.diagnosis.toys import fit, loader, mlp, toy


def epoch(net, batches, optimizer, seen=None):
    losses = []
    for x, y in batches:
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if seen is not None:
            seen(loss, len(y))
    return losses


def trained(watched, epochs=3, **options):
    """A network trained in shuffled batches, with what was seen of the last epoch, and all losses."""
    net = mlp(drop=0.2, **options).train()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    batches, losses, seen = loader(toy(120), 16, shuffle=True), [], None
    for _ in range(epochs):
        if watched:
            with compare.torch.watch(net) as seen:
                losses += epoch(net, batches, optimizer, seen)
        else:
            losses += epoch(net, batches, optimizer)
    return net, batches, seen, losses


def test_the_loops_figures_and_weights_are_the_same_bytes_with_it():
    plain, _, _, losses = trained(watched=False)
    watched, _, _, same = trained(watched=True)
    assert losses == same
    for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not watched._forward_pre_hooks


def test_the_loss_is_the_mean_over_samples_and_the_last_batch_may_be_smaller():
    _, _, seen, losses = trained(watched=True)
    last = losses[-8:]
    assert seen.losses == pytest.approx(last, rel=1e-6)
    assert seen.figures["loss"] == pytest.approx((16 * sum(last[:7]) + 8 * last[7]) / 120, rel=1e-6)
    assert seen.params == {"batch_size": 16}


def test_other_figures_are_averaged_too():
    seen = seen_module.Seen()
    seen(1.0, 3, accuracy=1.0)
    seen(3.0, 1, accuracy=torch.tensor(0.0))
    assert seen.figures == {"loss": 1.5, "accuracy": 0.75}


def test_a_loss_that_is_changed_afterwards_stays_as_it_was():
    seen, loss = seen_module.Seen(), torch.tensor(2.0)
    seen(loss, 1)
    loss += 5
    assert seen.losses == (2.0,)


def test_the_batches_are_dealt_again_as_they_were():
    net, batches, seen, _ = trained(watched=True, epochs=12, momentum=0.5)
    diagnosis = compare.diagnose(net, batches, loss=F.cross_entropy, reported=seen)
    assert not any(term.term == "batch-composition" for term in diagnosis.terms)
    unseen = compare.diagnose(net, batches, loss=F.cross_entropy, reported=seen.figures)
    # without dropout's masks the difference is that of the batches: in others the loss as in training is another
    assert any(term.term == "batch-composition" for term in unseen.terms)
    assert diagnosis.measured["fit_loss"] != unseen.measured["fit_loss"]


@pytest.mark.parametrize("given", ["loader", "arrays"])
def test_more_samples_than_the_limit_are_dealt_again_too(given):
    net, batches, seen, _ = trained(watched=True, epochs=6)
    data = batches if given == "loader" else batches.dataset.tensors
    whole = compare.diagnose(net, data, loss=F.cross_entropy, reported=seen)
    parts = compare.diagnose(net, data, loss=F.cross_entropy, reported=seen, limit=40)
    assert parts.measured["fit_loss"] == pytest.approx(whole.measured["fit_loss"], rel=1e-6)
    assert not any(term.term == "batch-composition" for term in parts.terms)


def test_samples_that_were_drawn_more_than_once_are_dealt_so():
    x, y = toy(12)
    places = [3, 3, 5, 0, 5, 3]
    net = mlp()
    with compare.torch.watch(net) as seen:
        for _ in range(2):
            seen(F.cross_entropy(net(x[places]), y[places]))
    diagnosis = compare.diagnose(net, (x, y), loss=F.cross_entropy, reported=seen)
    with torch.no_grad():
        wanted = F.cross_entropy(net.train()(x[places]), y[places]).item()
    assert diagnosis.measured["fit_loss"] == pytest.approx(wanted, rel=1e-5)


def test_which_samples_made_a_batch_is_known_by_their_inputs():
    x, y = toy(8)
    net = mlp()
    with compare.torch.watch(net) as seen:
        for places in ([3, 1, 5], [0, 2, 7, 4, 6]):
            seen(F.cross_entropy(net(x[places]), y[places]))
    data = [(x[:4], y[:4]), (x[4:], y[4:])]
    dealt = compare.diagnose(net, data, loss=F.cross_entropy, reported=seen)
    with torch.no_grad():
        one, other = (F.cross_entropy(net.train()(x[p]), y[p]).item() for p in ([3, 1, 5], [0, 2, 7, 4, 6]))
    assert dealt.measured["fit_loss"] == pytest.approx((3 * one + 5 * other) / 8, rel=1e-5)
    # the mutant: without what was seen other batches are measured
    plain = compare.diagnose(net, data, loss=F.cross_entropy)
    assert plain.measured["fit_loss"] != pytest.approx(dealt.measured["fit_loss"], rel=1e-3)


def test_the_modes_are_those_inside_the_step():
    net, batches = mlp(momentum=0.01), loader(toy(shift=4.0))
    fit(net, batches, epochs=3)
    net.train()
    net[1].eval()
    with compare.torch.watch(net) as seen:
        x, y = next(iter(batches))
        seen(F.cross_entropy(net(x), y), len(y))
    net.train()
    rows = compare.diagnose(net, batches, loss=F.cross_entropy, reported=seen).audit.rows
    assert [row.fit for row in rows if row.role == "normalisation"] == ["moving", "batch"]
    rows = compare.diagnose(net, batches, loss=F.cross_entropy).audit.rows
    assert [row.fit for row in rows if row.role == "normalisation"] == ["batch", "batch"]


def test_a_model_left_in_evaluation_mode_is_found_inside_the_step_only():
    net, batches = mlp(), loader(toy())
    fit(net, batches, epochs=2)
    with compare.torch.watch(net.eval()) as seen:
        epoch(net, batches, torch.optim.SGD(net.parameters(), 0.01), seen)
    net.train()
    found = compare.diagnose(net, batches, loss=F.cross_entropy, reported=seen).findings[0]
    assert (found.cause, found.harmful) == ("mode-override", True)
    assert found.cure.code.startswith("model.train()")
    assert compare.diagnose(net, batches, loss=F.cross_entropy).findings[0].cause != "mode-override"


def test_what_runs_without_gradients_is_no_step():
    net, (x, y) = mlp(), toy(8)
    with compare.torch.watch(net) as seen:
        seen(F.cross_entropy(net(x[:3]), y[:3]))
        with torch.no_grad():
            net.eval()(x)
        net.train()
    assert [len(batch) for batch in seen.batches] == [3]
    assert seen.modes[""] is True


def test_a_step_without_a_size_is_refused_where_nobody_saw_the_batch():
    with pytest.raises(ValueError, match="needs n"):
        seen_module.Seen()(1.0)


def test_inputs_that_cannot_be_read_stop_no_training():
    class Odd(nn.Module):
        def forward(self, thing):
            return thing.x

    class Thing:
        x = torch.ones(2, requires_grad=True)

    with compare.torch.watch(Odd()) as seen:
        seen(Odd()(Thing()).sum(), 2)
    assert seen.figures["loss"] == 2.0
    assert seen.batches == ()


def test_the_hook_goes_when_the_loop_raises():
    net = mlp()
    with pytest.raises(KeyboardInterrupt), compare.torch.watch(net):
        raise KeyboardInterrupt
    assert not net._forward_pre_hooks


def test_more_inputs_than_could_be_dealt_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(seen_module, "LOOKED_AT", 1000)
    _, _, seen, _ = trained(watched=True, epochs=1)
    assert seen.batches == ()
    assert len(seen.losses) == 8
