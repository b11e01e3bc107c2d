"""The site is built strictly: what leads nowhere, and a page that nothing leads to, ends the build with a word."""

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import markdown
import pytest
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import compare
from tools.docs_hooks import on_files, on_post_build

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
OWN = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def build(folder, text, **pages):
    """Build a page and others with the options that the gate builds with, and this project's own strictness."""
    (folder / "docs").mkdir()
    for name, content in {"index": text, **pages}.items():
        (folder / "docs" / f"{name}.md").write_text(content)
    kept = {name: OWN[name] for name in ("strict", "validation", "markdown_extensions")}
    shown = [{"mkdocstrings": OWN["plugins"][-1]["mkdocstrings"]}]
    config = {"site_name": "a", "nav": [{"Start": "index.md"}], "plugins": shown, **kept}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config))
    options = shlex.split(re.search(r"-m mkdocs build(.*)$", MAKEFILE, re.MULTILINE)[1])
    command = [sys.executable, "-m", "mkdocs", "build", *options]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return run.returncode, run.stderr


def test_a_page_without_fault_is_built(tmp_path):
    code, said = build(tmp_path, "# Start\n\n[here](#start)\n\n::: compare.spec.InputError\n")
    assert code == 0, said


@pytest.mark.parametrize(
    ("text", "pages", "word"),
    [
        ("[there](nowhere.md)", {}, "nowhere.md"),
        ("[there](#nowhere)", {}, "#nowhere"),
        ("# Start", {"alone": "# Nothing leads here"}, "alone.md"),
        ("::: compare.nothing", {}, "compare.nothing"),
    ],
)
def test_what_leads_nowhere_ends_the_build(tmp_path, text, pages, word):
    code, said = build(tmp_path, text, **pages)
    assert code != 0
    assert word in said


@pytest.fixture
def site(tmp_path):
    """A page that leads to a place in another, and to a picture."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a b.html").write_text('<h2 id="place">Place</h2>')
    (tmp_path / "picture.png").write_bytes(b"")
    page = tmp_path / "start.html"
    page.write_text(
        '<a href="below/a%20b.html#place">there</a><img src="picture.png"><a href="https://a.org">out</a>'
    )
    return page


def test_a_site_whose_pages_lead_somewhere_is_taken(site):
    on_post_build(SimpleNamespace(site_dir=str(site.parent)))


@pytest.mark.parametrize(
    "link", ["#nowhere", "below/other.html", "below/a%20b.html#nowhere", "../semantics.md", "other.png"]
)
def test_a_page_from_a_notebook_that_leads_nowhere_ends_the_build(site, link):
    site.write_text(site.read_text() + f'<a href="{link}">nowhere</a>')
    with pytest.raises(PluginError, match=re.escape(f"start.html: {link}")):
        on_post_build(SimpleNamespace(site_dir=str(site.parent)))


@pytest.mark.parametrize("tag", ["<script src={}></script>", "<img src={}>", "<link rel=stylesheet href={}>"])
def test_a_page_that_loads_what_lies_elsewhere_ends_the_build(site, tag):
    """The theme's search did: opened from a folder without a network, the site had none."""
    site.write_text(site.read_text() + tag.format('"https://a.org/a.js"'))
    with pytest.raises(PluginError, match=re.escape("start.html: https://a.org/a.js")):
        on_post_build(SimpleNamespace(site_dir=str(site.parent)))


def test_the_generator_calls_what_finds_dead_links():
    assert OWN["hooks"] == ["tools/docs_hooks.py"]
    assert OWN["strict"]


TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_is_run_when_the_site_is_built_and_lies_beside_it_as_a_notebook(page, monkeypatch):
    jupyter = next(plugin["mkdocs-jupyter"] for plugin in OWN["plugins"] if "mkdocs-jupyter" in plugin)
    assert (jupyter["execute"], jupyter["allow_errors"]) == (True, False)
    config = MkDocsConfig()
    config.load_dict({"site_name": "a", "docs_dir": str(ROOT / "docs")})
    config.validate()
    monkeypatch.setattr(config.plugins, "_current_plugin", "hook", raising=False)  # as in a build
    source = File(f"tutorials/{page.name}", str(ROOT / "docs"), "site", use_directory_urls=False)
    files = on_files(Files([source]), config)
    notebook = json.loads(files.get_file_from_path(f"tutorials/{page.stem}.ipynb").content_string)
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert {"code", "markdown"} == set(kinds)
    index = (ROOT / "docs" / "tutorials" / "index.md").read_text()
    assert f"]({page.stem}.ipynb)" in index
    assert f"]({page.name})" in index
    assert f"tutorials/{page.name}" in str(OWN["nav"])


@pytest.mark.parametrize(
    "known", ["Keras transfer-learning guide", "Lightning", "fvcore", "nobuco", "PaDiff"]
)
def test_who_comes_from_elsewhere_finds_a_section(known):
    page = (ROOT / "docs" / "coming-from.md").read_text()
    assert any(known in heading for heading in re.findall(r"^## (.*)$", page, re.MULTILINE))


@pytest.mark.parametrize("name", compare.__all__)
def test_the_reference_has_what_a_person_may_call(name):
    assert f"compare.{name}" in (ROOT / "docs" / "api" / "compare.md").read_text()


@pytest.mark.parametrize("wing", ["keras_impl", "torch_impl"])
def test_the_reference_has_every_file_of_a_wing(wing):
    page = (ROOT / "docs" / "api" / f"{wing}.md").read_text()
    files = sorted(path.stem for path in (ROOT / wing).glob("*.py") if path.stem != "__init__")
    assert re.findall(rf"^::: {wing}\.(\w+)$", page, re.MULTILINE) == files


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_every_block_of_code_is_shown_as_one(page):
    """A fence whose first line isn't understood becomes text, and turns all that follows inside out."""
    shown = markdown.markdown(page.read_text(), extensions=["attr_list", "tables", "pymdownx.superfences"])
    assert "```" not in shown


@pytest.mark.parametrize("room", ["compare", "keras_impl", "torch_impl"])
def test_docstrings_explain_only_arguments_that_are_there(room):
    unknown = [
        f"{path.relative_to(ROOT)}:{node.lineno} {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        for name in explained(ast.get_docstring(node) or "") - arguments(node)
    ]
    assert unknown == []


def test_an_argument_that_is_not_there_would_be_found():
    node = ast.parse(
        'def f(a, b):\n    """F.\n\n    Args:\n        a, c: some.\n        b: other.\n    """'
    ).body[0]
    assert explained(ast.get_docstring(node)) - arguments(node) == {"c"}


def explained(text):
    """The names that a docstring explains below ``Args:``, perhaps several before a colon."""
    block = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", text, re.MULTILINE)
    heads = re.findall(r"^ {4}([*\w][*\w, ]*?):(?= |$)", block[1], re.MULTILINE) if block else []
    return {name.strip(" *") for head in heads for name in head.split(",")}


def arguments(node):
    """The names that a function takes, or a class when it is made; a record takes its fields."""
    if isinstance(node, ast.FunctionDef):
        taken = node.args
        every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
        return {argument.arg for argument in every if argument is not None}
    inner = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    fields = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    return fields.union(*map(arguments, inner))
