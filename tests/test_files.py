import errno
import hashlib
import json
import os

import pytest

from compare import files


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    files.write(path, "ä\r\n")
    assert path.read_bytes() == "ä\r\n".encode()
    files.write(path, b"bytes")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as unfinished:
        unfinished.write_text(f"half {1 / 0}")
    assert path.read_bytes() == b"bytes"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_no_text_is_written_with_its_bytes_spelled_out(tmp_path):
    name = os.fsdecode(b"h\xfcnde")  # in latin-1, read where names are UTF-8
    files.write(tmp_path / "file", json.dumps({"class": name}, ensure_ascii=False))
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{"class": "h\\udcfcnde"}'
    assert json.loads((tmp_path / "file").read_bytes()) == {"class": name}


def test_a_full_disk_is_named_by_the_file_that_found_it_so(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write(path, b"before")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as refused:
        files.write(path, b"after")
    assert refused.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert files.sha256(tmp_path / "file") == files.sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()
