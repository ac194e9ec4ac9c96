"""The command `ecalnb`, with a record by each process of the events that it trains on and its weights at the end.

There is a checkpoint every 4 steps, and ``STOP_AT_STEP`` in the environment ends a training at that step.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ecalnb.cli import main
from ecalnb.training import train
from ecalnb.training.batches import BatchLoader
from ecalnb.training.task import EcalTask


def record() -> None:
    folder = Path(os.environ["RECORDS"])
    batch, step_start, end = BatchLoader.batch, EcalTask.on_train_batch_start, EcalTask.on_train_epoch_end
    seen: list[int] = []

    def noted_batch(self: BatchLoader, positions: Any) -> Any:
        if self.seed is not None:
            seen.extend(self.rows[positions].tolist())
        return batch(self, positions)

    def stopping_step(self: EcalTask, *arguments: Any) -> None:
        if self.global_step == int(os.environ.get("STOP_AT_STEP", -1)):
            os._exit(9)
        step_start(self, *arguments)

    def noted_end(self: EcalTask) -> None:
        end(self)
        rank = self.global_rank
        (folder / f"rank{rank}.json").write_text(json.dumps(seen))
        weights = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(weights, folder / f"rank{rank}.safetensors")
        seen.clear()

    train.__kwdefaults__["checkpoint_every"] = 4
    BatchLoader.batch = noted_batch  # type: ignore[method-assign]
    EcalTask.on_train_batch_start = stopping_step  # type: ignore[method-assign]
    EcalTask.on_train_epoch_end = noted_end  # type: ignore[method-assign]


if __name__ == "__main__":
    record()
    sys.exit(main())
