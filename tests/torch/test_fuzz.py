"""Thousands of damaged checkpoints: each is read or refused in a line, in bounded time, and nothing is executed."""

import pytest
import torch

from tests.support.damage import outcomes
from tests.support.torch_models import small


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_checkpoint_is_read_or_refused_in_a_line(tmp_path, zipped):
    content = {"model": small("vgg16").state_dict(), "epoch": 3}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    wrong, refused = outcomes((tmp_path / "a.pth").read_bytes(), tmp_path / "b.pth", range(1000))
    assert not wrong, "\n".join(wrong)
    assert 200 < refused < 1000
