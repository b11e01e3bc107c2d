"""What runs in a worker's process: calls that come down the connection, one after another."""

from __future__ import annotations

import gc
import os
import pickle
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from compare.frameworks import Framework
from compare.processes.errors import portable


@dataclass(frozen=True)
class Kept:
    """Stands for what a call returned and left in the worker; as an argument, it is that thing."""

    number: int


@dataclass(frozen=True)
class Say:
    """As an argument, a function there that sends what it is given to the caller, while the call goes on."""


@dataclass(frozen=True)
class Answer:
    """What a worker has to say of a call.

    Attributes:
        kind: ``said`` in between; ``returned`` or ``raised`` at its end; ``died`` when the process ended;
            ``retried`` when the process ended and the call begins again in another.
        value: what it said or returned, or the error.
    """

    kind: Literal["said", "returned", "raised", "died", "retried"]
    value: Any


@dataclass(frozen=True)
class Start:
    """What a process is told first. ``prepared``: the framework is imported before the first call."""

    framework: Framework
    threads: int
    dtype: str | None
    prepared: bool


@dataclass(frozen=True)
class Call:
    """A function of a module, by reference, and its arguments. ``keep``: what it returns stays there."""

    function: Callable
    arguments: tuple
    keep: bool = False


def main(connection: Connection) -> None:
    """Answer until the connection closes, as it does when the parent dies."""
    start: Start = connection.recv()
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, calls), daemon=True).start()
    kept: list[Any] = []
    ready = not start.prepared
    while True:
        message = calls.get()
        try:
            if not ready:
                with _uncollected():
                    start.framework.prepare(start.threads, start.dtype)
                ready = True
            answer = Answer("returned", _answer(pickle.loads(message), kept, connection))
            connection.send(answer)
        except Exception as error:
            traceback.print_exc()
            connection.send(Answer("raised", portable(error)))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python's garbage collector from what a framework brings, which stays as long as the process does.

    To look through it again and again takes a third of the time that the import does, and then as long once more.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _answer(call: Call, kept: list[Any], connection: Connection) -> Any:
    """Make a call with the arguments that stand for something put in."""

    def real(argument: Any) -> Any:
        if isinstance(argument, Kept):
            return kept[argument.number]
        if isinstance(argument, Say):
            return lambda value: connection.send(Answer("said", value))
        return argument

    result = call.function(*map(real, call.arguments))
    if not call.keep:
        return result
    kept.append(result)
    return Kept(len(kept) - 1)


def _receive(connection: Connection, calls: queue.SimpleQueue[bytes]) -> None:
    """Pass on what comes, to be unpickled by the thread that computes; end the process when nothing can come."""
    try:
        while True:
            calls.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)
