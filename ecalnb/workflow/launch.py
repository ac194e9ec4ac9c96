"""``python -m ecalnb.workflow.launch FD SNAKEMAKE-ARGUMENTS``: Snakemake as the child of a run.

It is in a process group of its own, ends when the run ends, and writes what happens to its jobs to the file descriptor
``FD``, as lines of JSON: ``{"event": "planned", "jobs": 3}``, then ``started``, ``finished``, ``failed`` with a name.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any

from .orphans import watch_parent

__all__ = ["Events", "main"]


class Events(logging.Filter):
    """Passes every record on, and tells the ones about jobs.

    A filter, because Snakemake replaces the handlers of its logger when it starts.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.names: dict[int, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell what ``record`` says about a job."""
        fields: dict[str, Any] = record.__dict__
        match str(fields.get("event", "")):
            case "job_info":
                wildcards = fields.get("wildcards") or {}
                values = wildcards.values() if isinstance(wildcards, dict) else wildcards
                name = " ".join([str(fields.get("rule_name")), *map(str, values)])
                self.names[int(fields["jobid"])] = name
                self._tell("started", name=name)
            case "job_finished":
                self._tell("finished", name=self.names.get(int(fields["job_id"]), ""))
            case "job_error":
                self._tell("failed", name=self.names.get(int(fields["jobid"]), str(fields.get("rule_name"))))
            case "run_info":
                self._tell("planned", jobs=(fields.get("stats") or {}).get("total", 0))
        return True

    def _tell(self, event: str, **values: Any) -> None:
        os.write(self.descriptor, (json.dumps({"event": event, **values}) + "\n").encode())


def main() -> None:
    """Run Snakemake."""
    # The group holds Snakemake and its local jobs; kernels watch their own parents.
    watch_parent(lambda: os.killpg(0, signal.SIGKILL))
    from snakemake.cli import main as snakemake

    logging.getLogger("snakemake.logging").addFilter(Events(int(sys.argv[1])))
    sys.argv[0] = "snakemake"  # what it calls itself in its errors
    snakemake(sys.argv[2:])


if __name__ == "__main__":
    main()
