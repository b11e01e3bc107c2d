"""Offers each tutorial as a notebook beside its page: `mkdocs build` calls `on_files` before it reads the pages."""

import os
from pathlib import Path

import jupytext
from mkdocs.config.defaults import MkDocsConfig
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
