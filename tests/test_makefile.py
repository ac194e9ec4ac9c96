"""The Makefile makes the environment: which Python, when again, and what it says when it cannot.

``uv`` is a stand-in here, so that nothing is downloaded; it notes what it is asked to do.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

UV = f"""#!/bin/sh
echo "$@" >> uv.log
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    echo "home = x" > "$folder/pyvenv.cfg"
    ln -sf {sys.executable} "$folder/bin/python"
elif [ -e slow ]; then
    touch started
    sleep 30
else
    [ ! -e broken ]
fi
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("Makefile", "tools/make_env.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "uv", UV)
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def environment(project: Path, *, real: bool = True) -> dict[str, str]:
    path = f"{project / 'bin'}:{os.environ['PATH']}" if real else str(project / "bin")
    return {"PATH": path, "HOME": str(project)}


def make(project: Path, *words: str, real: bool = True) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("make") or "make", "env", "DISK_GB=0", *words]
    return subprocess.run(command, cwd=project, env=environment(project, real=real), capture_output=True, text=True)


def asked(project: Path) -> list[str]:
    log = project / "uv.log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def only_tools(project: Path) -> None:
    """Leave nothing on the path but what the script needs: no Python and no uv."""
    (project / "bin" / "uv").unlink()
    for name in ("sh", "cat", "cksum", "cut", "uname", "df", "awk", "dirname", "rm", "mkdir"):
        (project / "bin" / name).symlink_to(shutil.which(name) or name)


def test_installs_once_and_again_only_after_a_change(project: Path) -> None:
    assert make(project).returncode == 0
    assert asked(project) == ["venv", "pip"]
    assert make(project).returncode == 0
    assert asked(project) == ["venv", "pip"]
    (project / "constraints.txt").write_text("numpy==2.1\n")
    assert make(project).returncode == 0
    assert asked(project) == ["venv", "pip", "pip"]
    assert len(list((project / ".venv").glob(".installed-*"))) == 1


def test_a_killed_installation_is_begun_anew(project: Path) -> None:
    (project / "slow").touch()
    process = subprocess.Popen(
        [shutil.which("make") or "make", "env", "DISK_GB=0"],
        cwd=project,
        env=environment(project),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not (project / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (project / ".venv" / "half-a-package").touch()
    (project / "slow").unlink()
    assert make(project).returncode == 0
    assert asked(project) == ["venv", "pip", "venv", "pip"]
    assert not (project / ".venv" / "half-a-package").exists()


def test_a_failed_installation_is_tried_again_in_place(project: Path) -> None:
    (project / "broken").touch()
    result = make(project)
    assert result.returncode != 0
    assert "the installation failed" in result.stderr
    (project / "broken").unlink()
    assert make(project).returncode == 0
    assert asked(project) == ["venv", "pip", "pip"]


def test_a_python_on_the_path_that_does_not_run_is_passed_over(project: Path) -> None:
    only_tools(project)
    for name in ("python3.13", "python3.12"):  # like a shim of pyenv for a version that is not chosen
        script(project / "bin" / name, '#!/bin/sh\necho "pyenv: not found" >&2\nexit 127\n')
    used = project / "used"
    script(project / "bin" / "python3.11", f'#!/bin/sh\necho "$@" >> {used}\ncase "$*" in *"-m venv"*) exit 3;; esac\n')
    assert make(project, real=False).returncode != 0
    assert "-m venv .venv" in used.read_text()


def test_without_any_python_one_sentence_says_what_to_install(project: Path) -> None:
    only_tools(project)
    result = make(project, real=False)
    assert result.returncode != 0
    assert "no working Python 3.11, 3.12 or 3.13 was found; install one" in result.stderr


def test_a_wrong_python_is_refused(project: Path) -> None:
    script(project / "bin" / "old", "#!/bin/sh\nexit 1\n")
    result = make(project, "PYTHON=old")
    assert result.returncode != 0
    assert "PYTHON=old is not a working Python 3.11, 3.12 or 3.13" in result.stderr
    assert asked(project) == []


def test_a_full_disk_is_noticed_before_the_installation(project: Path) -> None:
    result = make(project, "DISK_GB=100000000")
    assert result.returncode != 0
    assert "needs 100000000 GB" in result.stderr
    assert asked(project) == []


def test_a_folder_that_is_no_environment_is_left_alone(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "precious.root").touch()
    result = make(project, "VENV=data")
    assert result.returncode != 0
    assert "data is there and is not a Python environment" in result.stderr
    assert (project / "data" / "precious.root").exists()
