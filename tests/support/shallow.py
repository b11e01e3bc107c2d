"""A ResNet50 of few blocks, for tests of what is done with one: a block of either kind, and each of the stages.

To trace all 16 blocks takes Keras seconds for each graph, and shows nothing that 5 of them don't.
"""

from contextlib import contextmanager

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from compare.cells import cell as cells
from compare.cells.courses import Courses
from compare.cells.models import Models
from compare.frameworks import FRAMEWORKS

# stage -> number of blocks: the first of a stage has a shortcut with weights, the others have one without
BLOCKS = {2: 2, 3: 1, 4: 1, 5: 1}
# the first layer's, three a block, and a shortcut's in each stage
BATCH_NORMS = 1 + 3 * sum(BLOCKS.values()) + len(BLOCKS)


@contextmanager
def shallow(framework="keras"):
    """What is built meanwhile has few blocks; no model that is kept in the process comes from before, or stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FRAMEWORKS[framework].module("resnet50"), "BLOCKS", BLOCKS)
        forget(patch)
        yield


def forget(patch):
    """Keep nothing of the cells before, as a new process does."""
    patch.setattr(cells, "COURSES", Courses())
    patch.setattr(cells, "MODELS", Models())


def cut(file, blocks):
    """Leave out of a file of weights what is of no block that there is."""
    with safe_open(file, "numpy") as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        save_file(left(arrays, blocks), file, opened.metadata())


def left(arrays, blocks=BLOCKS):
    """The arrays of the blocks that there are, and of what is no block's."""
    return {name: array for name, array in arrays.items() if _is_there(name, blocks)}


def _is_there(name, blocks):
    stage, _, rest = name.partition("_block")
    return not rest or int(rest.partition("_")[0]) <= blocks[int(stage.removeprefix("conv"))]
