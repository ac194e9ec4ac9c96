"""Ways to damage a file, each a function of its bytes and of random numbers."""

from __future__ import annotations

import random
import re

ODD = [
    "-1", "0", "1e999", "nan", "inf", "true", '""', '"x"', '"nan"', "[]", "[[]]", "{}", "1979-05-27", "null", "[1, 2]",
    "99999999999999999999999999", "-0.0", "0.5", '"\\u0000"', '{"a" = 1}', '{"a": 1}', '"../../etc/passwd"', "'''x",
]  # fmt: skip
"""Values that may stand where another was."""


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 4, 32])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice([1, 4, 8, 64, 1024]))
    data[start:stop] = rng.choice([bytes(stop - start), b"\xff" * (stop - start), rng.randbytes(stop - start)])


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice([1, 4, 100, 4096])]


def _insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.choice([rng.randbytes(rng.choice([1, 8, 512])), data[start : start + 256]])


def _edges(data: bytearray, rng: random.Random) -> None:
    """Damage the beginning or end, where binary formats keep what steers the reader."""
    width = min(len(data), 400)
    at = rng.randrange(width) if rng.random() < 0.5 else len(data) - 1 - rng.randrange(width)
    data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])


def _value(data: bytearray, rng: random.Random) -> None:
    """Put an odd value in the place of another in TOML or JSON."""
    values = list(re.finditer(rb'(?<=[=:,\[])\s*("[^"\n]*"|[-+\w.]+|\[[^\]\n]*\]|\{[^}\n]*\})', data))
    if not values:
        return _flip(data, rng)
    match = rng.choice(values)
    data[match.start(1) : match.end(1)] = rng.choice(ODD).encode()
    return None


def _line(data: bytearray, rng: random.Random) -> None:
    """Lose, repeat or move a line."""
    lines = data.splitlines(keepends=True)
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice([0, 1, 2])):
        lines.insert(rng.randrange(len(lines) + 1), line)
    data[:] = b"".join(lines)


def _key(data: bytearray, rng: random.Random) -> None:
    """Rename a key or another word."""
    words = list(re.finditer(rb"[A-Za-z_]\w+", data))
    if words:
        match = rng.choice(words)
        data[match.start() : match.end()] = rng.choice([b"zz", rng.choice(words).group(), b'""', b"__class__"])


BINARY = (_flip, _overwrite, _truncate, _cut_out, _insert, _edges)
TEXT = (_value, _value, _value, _line, _key, _flip, _truncate)


def mutate(data: bytes, seed: int) -> bytes:
    """Damage bytes in one or a few ways; the same seed does the same."""
    rng = random.Random(seed)
    damaged = bytearray(data)
    text = b"\0" not in data
    for _ in range(rng.choice([1, 1, 2, 5])):
        if damaged:
            rng.choice(TEXT if text else BINARY)(damaged, rng)
    return bytes(damaged)
