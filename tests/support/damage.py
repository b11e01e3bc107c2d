"""Files damaged as disks, downloads and editors damage them: seeded, and in the structure most of all."""

import io
import json
import random
import time
import zipfile

from compare.spec import InputError
from compare.weights.reading import read
from compare.weights.settle import settle

# what a value of a configuration may turn into
VALUES = (None, True, 0, -3, 1e400, 1e-400, "", "Lambda", [], [[]], {}, {"class_name": 7}, [None, -1, 3])


def damaged(content, number):
    """A damaged form of a file's bytes; every number is another."""
    chance = random.Random(number)
    if content[:2] == b"PK" and chance.random() < 0.6:
        return _archive(content, chance)
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if not data:
            break
        end = chance.choice((len(data), min(len(data), 300), min(len(data), 5000)))
        at = chance.choice((chance.randrange(end), len(data) - 1 - chance.randrange(end)))
        _hurt(data, at, chance)
    return bytes(data)


def _hurt(data, at, chance):
    kind = chance.randrange(7)
    if kind < 2:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 2:
        data[at] = chance.randrange(256)
    elif kind == 3:
        del data[at:]
    elif kind == 4:
        del data[at : at + chance.choice((1, 3, 64))]
    elif kind == 5:
        data[at : at + 8] = chance.choice((bytes(8), b"\xff" * 8, (2**40).to_bytes(8, "little")))
    else:
        data[at:at] = data[at : at + chance.choice((1, 16))]


def _archive(content, chance):
    """Damage a member of a zip, whose checksum is right again afterwards."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(new, "w") as archive:
        names = old.namelist()
        structure = [name for name in names if name.endswith((".json", ".pkl", ".h5", ".npy"))]
        target = chance.choice(structure or names)
        for name in names:
            member = old.read(name)
            if name == target:
                if chance.random() < 0.05:
                    continue
                if name.endswith(".json") and chance.random() < 0.7:
                    member = _twisted(member, chance)
                elif member:
                    data = bytearray(member)
                    _hurt(data, chance.randrange(len(data)), chance)
                    member = bytes(data)
            archive.writestr(name, member)
    return new.getvalue()


def _twisted(text, chance):
    """JSON in which one value is another kind of thing."""
    content = json.loads(text)
    node = content
    while isinstance(node, (dict, list)) and node:
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], (dict, list)) or not node[key] or chance.random() < 0.15:
            if isinstance(node, dict) and chance.random() < 0.2:
                del node[key]
            else:
                node[key] = chance.choice(VALUES)
            break
        node = node[key]
    return json.dumps(content).encode()


def outcomes(content, path, numbers):
    """Read each damaged form: what is no plain refusal, and how many were refused.

    Returns:
        ``number: what happened`` for each that raised anything but one short line, or took too long.
    """
    wrong, refused = [], 0
    for number in numbers:
        path.write_bytes(damaged(content, number))
        began = time.monotonic()
        try:
            source = read(path)
            if source.backbone:
                settle(source)
        except InputError as error:
            refused += 1
            line = str(error).replace(str(path), "")
            if "\n" in line or len(line) > 400:
                wrong.append(f"{number}: {line}")
        except Exception as error:
            wrong.append(f"{number}: {error!r}")
        if time.monotonic() - began > 60:
            wrong.append(f"{number}: took {time.monotonic() - began:.0f} s")
    return wrong, refused
