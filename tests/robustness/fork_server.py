"""Runs jobs in forked children of a process that has imported everything, with limits, and kills them when told.

A job takes milliseconds more than its work, so that thousands of damaged files, or kills that hit the work and not the
import of torch, take minutes. ``Forks`` is the side of the tests; run as a program this is the server, which reads a
job in JSON from each line of its standard input, and answers with a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = 2 * 2**30
PATIENCE = 20.0  # s


@dataclass(frozen=True)
class Done:
    """How a job ended: exit code (negative: signal), seconds, what it said, and whether it had to be stopped."""

    code: int
    seconds: float
    out: str
    err: str
    late: bool


class Forks:
    """A server; ends with the block."""

    def __enter__(self) -> Forks:
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _ask(self, **job: Any) -> Done:
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))

    def command(self, *words: object, **options: Any) -> Done:
        """Run an ``ecalnb`` command: ``kill`` after so many seconds, its ``group`` or itself alone; ``fsize`` bytes."""
        return self._ask(words=[str(word) for word in words], **{"patience": 300.0, **options})

    def read(self, kind: str, path: Path, **options: Any) -> Done:
        """Read a file by one of ``readers.READERS``, with 2 GB and 20 s."""
        return self._ask(kind=kind, path=str(path), **{"memory": MEMORY, "patience": PATIENCE, **options})


def main() -> None:
    import readers

    readers.warm()
    answers = os.dup(1)
    for line in sys.stdin:
        job = json.loads(line)
        os.write(answers, (json.dumps(_run(job, readers)) + "\n").encode())


def _run(job: dict[str, Any], readers: Any) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(job, readers, out.fileno(), err.fileno())
        end = started + job.get("kill", job["patience"])
        status, late = 0, False
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() >= end:
                late = "kill" not in job
                with contextlib.suppress(ProcessLookupError):  # a child that has not yet its own group
                    (os.killpg if late or job.get("group") else os.kill)(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
                break
            time.sleep(0.001)
        seconds = time.monotonic() - started
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": seconds, "out": texts[0], "err": texts[1], "late": late}


def _child(job: dict[str, Any], readers: Any, out: int, err: int) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        if "memory" in job:
            _limit_memory(job["memory"])
        if "fsize" in job:
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["fsize"], job["fsize"]))
        if "words" in job:
            from ecalnb.cli import main as ecalnb

            code = ecalnb(job["words"])
        else:
            code = readers.read(job["kind"], Path(job["path"]))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _limit_memory(size: int) -> None:
    """Address space, or, where the imports alone take most of that, the memory that a process can write to."""
    pages = Path("/proc/self/statm").read_text().split()[0] if sys.platform == "linux" else 0
    mapped = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS if mapped < size / 2 else resource.RLIMIT_DATA, (size, size))


if __name__ == "__main__":
    main()
