"""The frameworks that can compute here: what each is called, needs and is told, without importing any of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from compare.spec import SIDES, InputError, choose
from compare.wings import Implementation

DTYPES = ("float64", "float32")
DEVICE = "COMPARE_DEVICE"  # where a process is told what it computes on


@dataclass(frozen=True)
class Framework:
    """A framework and, for Keras, what it computes with.

    Attributes:
        name: what ``--framework`` calls it.
        side: ``keras`` or ``torch``: whose implementation and whose spellings it has.
        backend: what computes: ``tensorflow``, ``torch`` or ``jax``.
        label: what a person calls it.
        needs: packages that must be installed; their versions are part of what is measured.
        extra: what of this project's extras brings them; empty where they always come with it.
    """

    name: str
    side: Literal["keras", "torch"]
    backend: Literal["tensorflow", "torch", "jax"]
    label: str
    needs: tuple[str, ...]
    extra: str = ""

    @property
    def missing(self) -> list[str]:
        """The packages that aren't installed."""
        return [package for package in self.needs if find_spec(package) is None]

    def module(self, name: str) -> Any:
        """Import a module of ``keras_impl`` or ``torch_impl``. One framework a process: most import it."""
        return import_module(f"{self.side}_impl.{name}")

    @property
    def implementation(self) -> Implementation:
        """The modules by their names, each imported when it is first asked for."""
        return _Modules(self)  # type: ignore[return-value]

    def environment(self, threads: int, device: str = "cpu") -> dict[str, str]:
        """What must be in the environment before it is imported: threads, the device, few messages.

        Args:
            device: ``cpu``, ``mps``, ``cuda:N`` for one card, or ``cuda`` for those that the environment shows.
        """
        count, (kind, _, card) = str(threads), device.partition(":")
        shared = {"OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, DEVICE: kind}
        if kind == "cpu" or card:
            shared["CUDA_VISIBLE_DEVICES"] = card or "-1"
        keras = {"KERAS_BACKEND": self.backend} if self.side == "keras" else {}
        return {**shared, **keras, **_environment(self.backend, count), **_accelerated(self.backend, kind)}

    def prepare(self, threads: int, dtype: str | None = None) -> None:
        """Import it, and make it compute with so many threads, and the same bytes every time.

        Args:
            dtype: what it computes in, see `set_dtype`; None leaves its own.

        Raises:
            InputError: it isn't installed.
        """
        check(self.name)
        if self.backend == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
            tf.config.experimental.enable_op_determinism()
            if device() != "cpu":
                tf.config.experimental.enable_tensor_float_32_execution(False)
        elif self.backend == "torch":
            import torch

            torch.set_num_threads(threads)
            # a card lacks some: it warns then, in the cell's log, and goes on
            torch.use_deterministic_algorithms(True, warn_only=device() != "cpu")
            torch.backends.cudnn.allow_tf32 = False  # of float32 it would keep ten bits
            # filling memory that is written to anyway costs time and changes nothing
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if self.side == "keras":
            import keras  # noqa: F401 - after what it computes with has been told how
        if dtype is not None:
            self.set_dtype(dtype)

    def placed(self, model: Any) -> Any:
        """Move a model to this process's device; Keras puts there by itself what it builds."""
        return model.to(device()) if self.side == "torch" and device() != "cpu" else model

    def set_dtype(self, dtype: str) -> None:
        """Have everything that is built from now on compute in ``dtype``."""
        if self.side == "keras":
            import keras

            if self.backend == "jax":
                import jax

                jax.config.update("jax_enable_x64", dtype == "float64")  # else it rounds to float32, silently
            if self.backend != "tensorflow":
                _promote_to(dtype)
            keras.config.set_floatx(dtype)
            keras.config.set_dtype_policy(dtype)  # made from floatx once, and kept
        else:
            import torch

            torch.set_default_dtype(getattr(torch, dtype))

    def versions(self) -> dict[str, str]:
        """Versions of what computes, which this process has imported or imports now."""
        return {name: import_module(name).__version__ for name in self.needs}


class _Modules:
    """What `Framework.implementation` returns."""

    def __init__(self, framework: Framework) -> None:
        self._framework, self.side = framework, framework.side

    def __getattr__(self, name: str) -> Any:
        return self._framework.module(name)


def device() -> str:
    """What this process computes on: ``cpu``, ``cuda`` or ``mps``."""
    return os.environ.get(DEVICE, "cpu")


def _promote_to(dtype: str) -> None:
    """Have Keras promote float64 to itself.

    On every backend but TensorFlow it makes float32 of it, so that batch normalisation of a model in float64 computes
    in float32 (Keras 3.15, keras/src/backend/common/dtypes.py). There is no public way to say otherwise.
    """
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = dtype


def _environment(backend: str, count: str) -> dict[str, str]:
    """What one backend reads from the environment."""
    return {
        "tensorflow": {
            "TF_NUM_INTRAOP_THREADS": count,
            "TF_NUM_INTEROP_THREADS": count,
            "TF_CPP_MIN_LOG_LEVEL": "2",
        },
        "torch": {},
        # NPROC is how many threads XLA makes for the CPU
        "jax": {"JAX_PLATFORMS": "cpu", "NPROC": count, "TF_CPP_MIN_LOG_LEVEL": "2"},
    }[backend]


def _accelerated(backend: str, kind: str) -> dict[str, str]:
    """What one backend reads from the environment of a device, the same bytes every time where it has that."""
    if backend == "torch":
        own = {"KERAS_TORCH_DEVICE": kind}
        return own | ({"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if kind == "cuda" else {})
    if kind == "cpu":
        return {}
    return {
        # memory as it is needed: else the first process takes the whole card
        "tensorflow": {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
        "jax": {
            "JAX_PLATFORMS": kind,
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip(),
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        },
    }[backend]


FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("keras", "keras", "tensorflow", "Keras on TensorFlow", ("keras", "tensorflow")),
        Framework("keras-jax", "keras", "jax", "Keras on JAX", ("keras", "jax"), extra="jax"),
        Framework("keras-torch", "keras", "torch", "Keras on PyTorch", ("keras", "torch")),
        Framework("torch", "torch", "torch", "PyTorch", ("torch", "torchvision")),
    )
}
DEFAULT = ("keras", "torch")  # what is run unless somebody says otherwise


def installed() -> list[str]:
    """The names of the frameworks that are there."""
    return [name for name, framework in FRAMEWORKS.items() if not framework.missing]


def labels(names: Iterable[str]) -> tuple[str, ...]:
    """What a person calls frameworks side by side: Keras and PyTorch, unless Keras's backend matters."""
    names = list(names)
    usual = set(names) <= set(DEFAULT)
    return tuple(SIDES[name] if usual else FRAMEWORKS[name].label for name in names)


def called(names: Iterable[str]) -> dict[str, str]:
    """Map frameworks that stand beside each other to their `labels`, in the order of `FRAMEWORKS`."""
    names = set(names)
    ordered = [name for name in FRAMEWORKS if name in names]
    return dict(zip(ordered, labels(ordered), strict=True))


def check(name: str) -> Framework:
    """Return a framework by its name.

    Raises:
        InputError: there is none of that name, or it isn't installed.
    """
    framework = FRAMEWORKS[choose("framework", name, tuple(FRAMEWORKS))]
    if framework.missing:
        there = ", ".join(installed()) or "none"
        get = f"'compare-bn[{framework.extra}]'" if framework.extra else " ".join(framework.missing)
        raise InputError(
            f"framework {name!r} isn't installed; there are {there}. Get it with: pip install {get}"
        )
    return framework


def own(side: Literal["keras", "torch"]) -> Framework:
    """The framework as a person's own programs have it here: what reads, writes and runs models of their own.

    Of Keras that is the backend of ``KERAS_BACKEND``; without it the one of Keras's own settings, where that is
    installed, else the first that is.

    Raises:
        InputError: it isn't installed, or ``KERAS_BACKEND`` names none that is.
    """
    backends: dict[str, Framework] = {
        framework.backend: framework for framework in FRAMEWORKS.values() if framework.side == side
    }
    asked = os.environ.get("KERAS_BACKEND") if side == "keras" else None
    if asked:
        return check(backends[choose("KERAS_BACKEND", asked, tuple(backends))].name)
    usual = backends.get(_keras_setting("backend"))
    there = [framework for framework in (usual, *backends.values()) if framework and not framework.missing]
    return there[0] if there else check(next(iter(backends.values())).name)


def _keras_setting(name: str) -> str:
    """What Keras's own settings say (keras.io, Keras 3, "Configuring your backend"), or nothing where they don't."""
    try:
        home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        settings = json.loads((home.expanduser() / "keras.json").read_text())
    except (OSError, RuntimeError, ValueError):
        return ""
    value = settings.get(name) if isinstance(settings, dict) else ""
    return value if isinstance(value, str) else ""


def check_all(names: Sequence[str]) -> None:
    """Check frameworks that are to work beside each other.

    Raises:
        InputError: one is unknown, isn't installed or is named twice.
    """
    for name in names:
        check(name)
        if names.count(name) > 1:
            raise InputError(f"framework {name!r} is named twice; name each once")
