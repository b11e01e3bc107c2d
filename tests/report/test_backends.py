"""A run on several of Keras's backends says where they were measured to part, and labels each by its own name."""

from dataclasses import replace

import pytest

from compare.report import backends as module
from compare.report.backends import backends
from compare.report.load import load_run
from compare.report.page import write_report
from compare.semantics.record import read, releases
from tests.support.synthetic_run import make_run

RELAPSE = "layer.trainable = False, layer by layer; then base.trainable = True"


def test_the_rows_are_those_that_the_records_differ_in():
    found = backends(["keras", "keras-jax", "torch"])
    assert [column.split(",")[0].split(" on ")[1].split()[0] for column in found.columns] == [
        "TensorFlow",
        "JAX",
    ]
    rows = dict(found.rows)
    assert len(rows) == 3
    tensorflow, jax = rows[RELAPSE]
    assert tensorflow.startswith("fit uses moving statistics and keeps the moving ones")
    assert jax.startswith("fit uses batch statistics and moves the moving ones")


def test_backends_that_agree_have_no_rows_and_one_backend_has_no_section(monkeypatch):
    assert backends(["keras-jax", "torch"]) is None
    tensorflow = next(record for record in map(read, releases()) if record.framework == "keras")
    packages = {**tensorflow.packages, "jax": "0.10.2"}
    other = replace(tensorflow, release="keras-3.15.1-jax", packages=packages)
    monkeypatch.setattr(module, "releases", lambda: ["keras", "keras-jax"])
    monkeypatch.setattr(module, "read", {"keras": tensorflow, "keras-jax": other}.__getitem__)
    assert backends(["keras", "keras-jax"]).rows == ()


@pytest.mark.parametrize(
    ("frameworks", "there"), [(("keras", "keras-torch"), True), (("keras", "torch"), False)]
)
def test_the_page_of_a_run_has_them(tmp_path, frameworks, there):
    folder = make_run(tmp_path / "run", policies=("frozen", "fine-tune"), frameworks=frameworks)
    text = write_report(load_run(folder)).read_text()
    assert (RELAPSE in text) == there
    assert ("Keras on TensorFlow" in text) == there
    assert ('<th colspan="3" class="first" scope="colgroup">Keras</th>' in text) != there
