"""Print constraints.txt: the versions that are installed here of everything that ``ecalnb[dev]`` needs.

Run it in the environment that the tests have passed in:

    .venv/bin/python tools/freeze_constraints.py > constraints.txt
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

# Torch fixes the versions of what it brings along itself, and they differ between machines.
LEFT_TO_TORCH = re.compile(r"nvidia|cuda|triton")
HEADER = """\
# Versions that the tests ran with: `pip install "ecalnb[all]" -c constraints.txt` gives the same environment.
# Made by tools/freeze_constraints.py. What torch fixes itself (CUDA) and what other platforms need besides is left out.
"""


def main() -> None:
    """Walk through the requirements."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    waiting = [Requirement(line) for line in (*project["dependencies"], *(r for e in extras.values() for r in e))]
    waiting = [requirement for requirement in waiting if requirement.name != project["name"]]
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = frozenset(requirement.extras)
        if (name, wanted) in seen or LEFT_TO_TORCH.search(name):
            continue
        seen.add((name, wanted))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed here; install ecalnb[dev] first")
        versions[name] = found.version.split("+")[0]  # without a build such as +cpu, which PyPI does not have
        for line in found.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                waiting.append(needed)
    print(HEADER + "\n".join(f"{name}=={version}" for name, version in sorted(versions.items())))


if __name__ == "__main__":
    main()
