"""What the README and the documentation tell people to type exists."""

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer

from compare.cli.app import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))
TEXT = {
    path.relative_to(ROOT).as_posix(): path.read_text().replace(" \\\n", "") for path in [*PAGES, *TUTORIALS]
}
# a tutorial's cell for the shell is a comment
COMMANDS = sorted(
    {
        line
        for text in TEXT.values()
        for line in re.findall(r"^(?:# )?(compare [a-z]+ .*)$", text, re.MULTILINE)
    }
)
NAMES = sorted(
    {
        (page, name)
        for page, text in TEXT.items()
        for name in re.findall(r"\b(?:keras_impl|torch_impl)(?:\.\w+)+", text)
    }
)


@cache
def _help(command):
    run = subprocess.run([sys.executable, "-m", "compare", command, "--help"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_options_exist(line):
    words = shlex.split(line.removesuffix("\\"), comments=True)
    for option in (word for word in words[2:] if word.startswith("--")):
        assert re.search(rf"{option}\b", _help(words[1])), option


@pytest.mark.parametrize(("page", "name"), NAMES)
def test_a_function_of_the_wings_that_a_page_names_is_there(page, name):
    wing, module, *rest = name.split(".")
    path = ROOT / wing / f"{module}.py"
    if module != "py":  # a file's own name
        assert path.is_file(), page
        defined = {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        assert not rest or rest[0] in defined or rest[0] == "py", page


def test_every_command_is_in_the_readme():
    for command in typer.main.get_command(app).commands:
        assert re.search(rf"\bcompare {command}\b", README), command


def test_the_two_commands_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\S+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "compare run --backbone resnet50" in makefile


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_gate_calls_the_readmes_test_command():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")
