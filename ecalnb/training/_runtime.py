"""The state of the process during training and prediction: device, threads, Lightning's talk; put back afterwards."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only

from .errors import TrainingError

__all__ = [
    "DEVICES",
    "check_processes",
    "is_first_process",
    "one_voice",
    "pick_device",
    "quiet_lightning",
    "reproducible",
    "thread_number",
]

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What ``device`` may be."""


def pick_device(device: str = "auto") -> str:
    """Choose the device to compute on; ``auto`` takes a GPU where there is one.

    Raises
    ------
    TrainingError
        If there is no such device here.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in DEVICES:
        raise TrainingError(f"device is {device!r}; expected one of {', '.join(DEVICES)}")
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present[device]:
        here = ", ".join(name for name in present if present[name])
        raise TrainingError(f"device {device} is not available here; expected one of auto, {here}")
    return device


def check_processes(device: str, devices: int, nodes: int) -> None:
    """Raise `TrainingError` unless a training can use so many devices of each of so many machines from here."""
    for name, value in (("devices", devices), ("nodes", nodes)):
        if value < 1:
            raise TrainingError(f"{name} is {value}; expected 1 or more")
    if devices * nodes == 1:
        return
    if device == "mps":
        raise TrainingError("a training on mps uses one device; expected devices=1 and nodes=1, or another device")
    if device == "cuda" and devices > (present := torch.cuda.device_count()):
        raise TrainingError(f"devices is {devices}, but this machine has {present} GPUs")
    if hasattr(sys, "ps1"):
        raise TrainingError("a training on several devices starts this program anew; use the command `ecalnb train`")


def is_first_process() -> bool:
    """Whether this is the first of the processes that train together, the one that writes; also if it is alone."""
    return getattr(rank_zero_only, "rank", 0) == 0


@contextmanager
def thread_number(threads: int | None, processes: int = 1) -> Iterator[int]:
    """Let torch use so many threads in each process; unless told, processes share what one would use now."""
    before, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    if threads is not None and threads < 1:
        raise TrainingError(f"threads is {threads}; expected 1 or more")
    if threads is None:
        threads = before if variable is not None else max(1, before // processes)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # what Lightning and the processes it starts go by
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
        if processes > 1:
            del os.environ["OMP_NUM_THREADS"]
            os.environ.update({} if variable is None else {"OMP_NUM_THREADS": variable})


@contextmanager
def one_voice(speaks: bool) -> Iterator[None]:
    """Let only one of several processes say what it does; warnings come from all."""
    logger = logging.getLogger("ecalnb")
    level = logger.level
    if not speaks:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def reproducible(device: str) -> Iterator[None]:
    """Deterministic algorithms, and random numbers that leave the caller's generator as it was.

    On a GPU an operation that has no deterministic algorithm is only warned about: bit-identical results are promised
    on the CPU.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
        memory.fill_uninitialized_memory = False  # a debugging aid that costs time
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = fill


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its adverts and device notes, and an interrupt that stays an interrupt.

    On Ctrl-C Lightning ignores all further ones and ends the process, kernel of a notebook included.
    """
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning's own use of torch, of no concern to who trains a model.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            yield
    except SystemExit as error:
        raise KeyboardInterrupt("the training was interrupted; start it again to go on") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if main and handler is not None:
            signal.signal(signal.SIGINT, handler)
