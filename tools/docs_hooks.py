"""What `mkdocs build` calls: each tutorial is offered as a notebook beside its page, and what leads nowhere is found.

The generator itself looks at links in Markdown alone. A tutorial's page comes from a notebook, with links of its own.
"""

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

# a command's output comes in pieces; jupyter_nbconvert_config.json has them joined, or words would be torn apart
os.environ["JUPYTER_CONFIG_PATH"] = str(Path(__file__).parent)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add ``tutorials/NAME.ipynb``, made from ``tutorials/NAME.py``, to what is copied into the site."""
    for file in [
        file for file in files if file.src_uri.startswith("tutorials/") and file.src_uri.endswith(".py")
    ]:
        notebook = jupytext.writes(jupytext.read(file.abs_src_path), fmt="ipynb")
        files.append(File.generated(config, file.src_uri.removesuffix(".py") + ".ipynb", content=notebook))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """End the build where a page leads to what isn't there, in this site, or loads what lies elsewhere."""
    # the page for a wrong address is shown at any depth, so that its links begin at the root
    written = {path: _Page(path) for path in Path(config.site_dir).rglob("*.html") if path.name != "404.html"}
    dead = sorted({link for page in written.values() for link in page.dead(written)})
    if dead:
        raise PluginError("the site leads nowhere here:\n" + "\n".join(dead))


class _Page(HTMLParser):
    """Where a page leads to, and the places in it that others may lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path.resolve()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {given[name] or "" for name in ("id", "name") if name in given}
        self.links |= {given[name] or "" for name in ("href", "src") if name in given}
        self.loads |= {
            given[name] or "" for name in ("href", "src") if name in given and tag not in ("a", "base")
        }

    def dead(self, written: dict[Path, "_Page"]) -> set[str]:
        """The links of this page to what isn't there, each with the page's name before it."""
        pages = {page.path: page for page in written.values()}
        found = set()
        for link in self.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                # the site is read without a network, too
                if link in self.loads and parts.scheme in ("", "http", "https"):
                    found.add(f"{self.path.name}: {link}")
                continue
            to = (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path
            place = unquote(parts.fragment)
            lost = to in pages and place and place not in pages[to].places
            if not to.exists() or lost:
                found.add(f"{self.path.name}: {link}")
        return found
