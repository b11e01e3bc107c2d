"""The page ``docs/diagnose.md``: every cause with its cure in both frameworks, from the cures that are shown."""

from __future__ import annotations

from compare.diagnosis.cures import cure
from compare.diagnosis.inputs import CHANGES
from compare.diagnosis.show.text import narrow
from compare.pages.render import render

# what the layers are called that the page's code is about
LAYERS = ("block1.bn", "block2.bn")


def chapter() -> str:
    """The page as Markdown."""
    return render("diagnosis/show/causes.md.j2", {"cured": _cured, "report": _report})


def _cured(cause: str) -> str:
    """The cure: its sentence, and the code of each framework that has some."""
    parts = [f"**Cure.** {cure('keras', cause).text}"]
    codes = {name: narrow(_code(framework, cause)) for framework, name in _NAMES}
    if codes["Keras"] and codes["Keras"] == codes["PyTorch"]:
        codes = {"Both": codes["Keras"]}
    parts += [f"{name}:\n\n```python\n{code}\n```" for name, code in codes.items() if code]
    return "\n\n".join(parts)


def _code(framework: str, cause: str) -> str:
    """The usual case's code; where that hangs on the change that was found, that of one of them."""
    code = cure(framework, cause, LAYERS).code
    found = cure(framework, cause, LAYERS, "changed", CHANGES[0].written(framework)).code
    return code or (found and f"{found}  # or whichever change it was found to be")


def _report(repository: str, *numbers: int) -> str:
    """Links to public reports."""
    return ", ".join(
        f"[{repository}#{number}](https://github.com/{repository}/issues/{number})" for number in numbers
    )


_NAMES = (("keras", "Keras"), ("torch", "PyTorch"))
