"""Speed of every model on one core: events a second in training and in inference, batches of 128 (8 for the largest).

CPU time is what counts, so that other work on the machine matters less; of several rounds the fastest is kept. The
relative spread of rounds on a busy machine is about a tenth. Prints the table of docs/models.md.
"""

# ruff: noqa: T201
from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable

import torch
from torch.nn import functional

from ecalnb import models

SECONDS = 2.0
ROUNDS = 3


def events_per_second(batch: int, step: Callable[[], object]) -> float:
    """Events a second of CPU time of the fastest round."""
    step()
    fastest = float("inf")
    for _ in range(ROUNDS):
        steps, start = 0, time.process_time()
        while steps == 0 or time.process_time() - start < SECONDS / ROUNDS:
            step()
            steps += 1
        fastest = min(fastest, (time.process_time() - start) / steps)
    return batch / fastest


def speeds(name: str, size: tuple[int, int, int]) -> tuple[float, float]:
    """Events a second in training (forward, backward, Adam) and in inference."""
    model = models.create(name, input_size=size).to(memory_format=torch.channels_last)
    batch = 128 if models.count_parameters(model) < 20e6 else 8
    images = torch.rand(batch, *size).contiguous(memory_format=torch.channels_last)
    target = torch.arange(batch) % 2.0
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)

    def training() -> None:
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(model(images).squeeze(1), target).backward()
        optimiser.step()

    @torch.inference_mode()
    def inference() -> None:
        model(images)

    trained = events_per_second(batch, training)
    model.eval()
    return trained, events_per_second(batch, inference)


def two_figures(value: float) -> str:
    """Write a number with two significant figures and no exponent."""
    return f"{float(f'{value:.2g}'):,g}" if value < 1e5 else f"{float(f'{value:.2g}'):,.0f}"


def main() -> None:
    """Print a line for each model."""
    torch.set_num_threads(1)
    print("| model | input | parameters | training, events/s | inference, events/s |")
    print("|---|---|---|---|---|")
    for model in models.list_models():
        trained, inferred = speeds(model.name, model.input_size)
        size = "x".join(map(str, model.input_size))
        columns = (f"`{model.name}`", size, f"{model.parameters:,}", two_figures(trained), two_figures(inferred))
        print(f"| {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
