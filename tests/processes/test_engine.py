"""Engines that aren't there, and nodes that aren't like this machine: one line each."""

import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from compare.processes import engine, nodes
from compare.processes.engine import Engine
from compare.spec import InputError
from tests.support.command_line import options, photos_in, refused
from tests.support.waiting import LONG

# what every HTTP/2 server says first
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
HERE = {"python": "3.12.1", "compare": "0a1b2c3d", "torch": "2.9.1"}


@pytest.fixture
def listening():
    """A port at which something answers that isn't Ray: what it is given, or nothing for a minute."""
    servers, over = [], threading.Event()

    def listen(answer):
        servers.append(socket.create_server(("127.0.0.1", 0)))

        def serve(server):
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)
                if not answer:
                    over.wait(LONG)

        threading.Thread(target=serve, args=servers, daemon=True).start()
        return servers[0].getsockname()[1]

    yield listen
    over.set()
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Engine("rai"), "unknown --engine 'rai': did you mean 'ray'? It can be local, ray"),
        (Engine("local", "auto"), "--ray-address auto: it needs --engine ray"),
        (Engine("ray", device="cuda:1"), "--device cuda:1: on Ray's nodes it can be auto, cpu or cuda"),
        (Engine("ray", device="mps"), "--device mps: on Ray's nodes it can be auto, cpu or cuda"),
        (Engine("ray", "cluster"), "--ray-address cluster: it must be HOST:PORT, or auto"),
        (Engine("ray", "ray://head:10001"), "--ray-address ray://head:10001: it must be HOST:PORT"),
        (Engine("ray", "head:99999"), "--ray-address head:99999: it must be HOST:PORT"),
        (Engine("ray", "127.0.0.1:1"), "--ray-address 127.0.0.1:1: nothing answers there"),
        (Engine("ray", "no.such.host.invalid:6379"), "nothing answers there"),
    ],
)
def test_an_engine_that_is_not_there_is_said(asked, said, monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda name: name)
    with pytest.raises(InputError) as refused:
        engine.check(asked)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_address_has_seconds_to_answer():
    assert nodes.PATIENCE < 10


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", r"nothing answers there \(timed out\)"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "what answers there is no Ray cluster"),
    ],
)
def test_what_answers_and_is_not_ray_is_refused(listening, answer, said, monkeypatch):
    """Whoever waited for the one that says nothing would see it close the connection."""
    monkeypatch.setattr(engine, "find_spec", lambda name: name)
    monkeypatch.setattr(nodes, "PATIENCE", 4.0)
    with pytest.raises(InputError, match=rf"--ray-address 127.0.0.1:\d+: {said}"):
        engine.check(Engine("ray", f"127.0.0.1:{listening(answer)}"))


def test_a_name_that_nobody_looks_up_is_refused_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda name: name)
    monkeypatch.setattr(nodes, "PATIENCE", 1.0)
    over, given_up = threading.Event(), []

    def never(*_):
        given_up.append(not over.wait(LONG))
        raise socket.gaierror("given up")  # in a thread that is left behind, when nobody listens any more

    monkeypatch.setattr(nodes.socket, "getaddrinfo", never)
    with pytest.raises(InputError, match=r"--ray-address head:6379: nothing answers there \(timed out\)"):
        engine.check(Engine("ray", "head:6379"))
    assert given_up == []
    over.set()


def test_what_answers_byte_by_byte_is_not_waited_for(monkeypatch):
    """The four bytes that would tell take longer than an address has in all, though each comes soon enough."""
    monkeypatch.setattr(engine, "find_spec", lambda name: name)
    monkeypatch.setattr(nodes, "PATIENCE", 2.0)
    server = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = server.accept()
        with connection, suppress(OSError):
            for _ in range(5):
                time.sleep(0.7)
                connection.sendall(b"\0")

    threading.Thread(target=drip, daemon=True).start()
    with server, pytest.raises(InputError, match=r"nothing answers there \(timed out\)"):
        engine.check(Engine("ray", f"127.0.0.1:{server.getsockname()[1]}"))


def test_what_speaks_like_ray_and_is_none_is_refused(listening, monkeypatch):
    """Ray itself would ask it for two minutes."""
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'compare-bn[ray]'")
    monkeypatch.setattr(nodes, "PATIENCE", 4.0)
    began = time.monotonic()
    with pytest.raises(InputError, match="what answers there is no Ray cluster"):
        engine.check(Engine("ray", f"127.0.0.1:{listening(SETTINGS)}"))
    assert time.monotonic() - began < 60


def test_an_address_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    pytest.importorskip("ray", reason="Ray isn't installed: pip install 'compare-bn[ray]'")
    monkeypatch.chdir(photos_in(tmp_path))
    line = refused(capsys, *options("out", "--engine", "ray", "--ray-address", "127.0.0.1:1"))
    assert "nothing answers there (Connection refused)" in line
    assert not (tmp_path / "out").exists()


def test_without_ray_it_is_said_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(photos_in(tmp_path))
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    line = refused(capsys, *options("out", "--engine", "ray"))
    assert line == "error: --engine ray: Ray isn't installed. Get it with: pip install 'compare-bn[ray]'\n"


def test_nodes_that_differ_are_named_with_what_they_differ_in():
    there = [
        ("a (10.0.0.1)", HERE),
        ("b (10.0.0.2)", HERE | {"torch": "2.8.0", "python": "3.11.9"}),
        ("c (10.0.0.3)", HERE | {"compare": "none"}),
    ]
    with pytest.raises(InputError) as refused:
        nodes.differing(there, HERE)
    assert str(refused.value) == (
        "--engine ray: all nodes need what this machine has: b (10.0.0.2) has python 3.11.9 instead of python 3.12.1; "
        "b (10.0.0.2) has torch 2.8.0 instead of torch 2.9.1; c (10.0.0.3) has no compare instead of compare with code "
        "0a1b2c3d"
    )
    nodes.differing([("a", HERE), ("a", HERE)], HERE)


def test_versions_are_of_packages_of_python_and_of_the_code():
    found = nodes.versions(("python", "compare", "numpy", "no-such-package"))
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"].count(".") >= 1
    assert len(found["compare"]) == 8
    assert found["no-such-package"] == "none"


@pytest.mark.parametrize(
    ("threads", "gpu", "places"), [(1, False, 7), (2, False, 3), (1, True, 2), (8, False, 1)]
)
def test_a_cluster_has_places_for_as_many_workers_as_fit_whole_on_a_node(threads, gpu, places):
    assert nodes.Nodes((0, 3, 4), 2).places(threads, gpu) == places


def test_a_device_that_the_nodes_have_not_is_said(monkeypatch):
    @contextmanager
    def joined(address, cpus):
        yield nodes.Nodes((2,), 0)

    monkeypatch.setattr(nodes, "joined", joined)
    with pytest.raises(InputError) as refused, engine.running(Engine("ray", device="cuda"), ["torch"]):
        pass
    assert str(refused.value) == "--device cuda: the Ray cluster has no GPU; it can be auto or cpu"


def test_workers_on_gpus_are_as_many_as_there_are_gpus_and_auto_says_that_they_are_there(monkeypatch):
    @contextmanager
    def joined(address, cpus):
        yield nodes.Nodes((16, 16), 3, ("A100", "H100"))

    monkeypatch.setattr(nodes, "joined", joined)
    monkeypatch.setattr(nodes, "check_versions", lambda needs: {})
    monkeypatch.setattr(engine, "on_cluster", lambda *arguments: None)
    with engine.running(Engine("ray", device="cuda"), ["torch"]) as place:
        assert place.jobs == 3
        assert place.devices.of == {"torch": "cuda"}
        assert place.devices.called == {"torch": "cuda (A100 and H100)"}
    with engine.running(Engine("ray"), ["torch"]) as place:
        assert place.devices.of == {"torch": "cpu"}
        assert place.said.endswith("of their 3 GPUs none: --device cuda takes them")
