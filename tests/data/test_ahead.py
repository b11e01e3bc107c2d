"""Batches made ahead are the same batches, in any order; and they are made while nobody waits for them."""

import threading

import pytest

from compare.data.ahead import Ahead


class Slow(list):
    """Says which are asked for, and by which thread."""

    def __init__(self, *values):
        super().__init__(*values)
        self.asked = []

    def __getitem__(self, step):
        self.asked.append((step, threading.current_thread().name))
        return super().__getitem__(step)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 2, 0, 4, 4]])
def test_they_are_the_same_in_any_order(order):
    batches = Ahead(list("abcde"), ahead=2)
    assert [batches[step] for step in order] == ["abcde"[step] for step in order]
    assert len(batches) == 5
    with pytest.raises(IndexError):
        batches[5]


def test_the_next_ones_are_made_meanwhile_and_each_once():
    slow = Slow(range(5))
    batches = Ahead(slow, ahead=2, threads=1)
    assert batches[0] == 0
    batches._pool.shutdown(wait=True)
    assert [step for step, _ in slow.asked] == [0, 1, 2]
    assert all(name.startswith("batches") for _, name in slow.asked)
    assert len(batches._made) == 2


def test_an_error_arrives_where_the_batch_is_asked_for():
    class Broken(list):
        def __getitem__(self, step):
            if step == 1:
                raise OSError("a picture is damaged")
            return step

    batches = Ahead(Broken(range(3)))
    assert batches[0] == 0
    with pytest.raises(OSError, match="damaged"):
        batches[1]
