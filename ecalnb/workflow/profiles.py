"""Cluster profiles: how Snakemake submits jobs at a site, as folders with a ``config.yaml``; some are packaged."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["find_profile", "list_profiles"]

PROFILES = Path(__file__).parent.parent / "data" / "profiles"


def list_profiles() -> list[str]:
    """Names of the packaged profiles."""
    return sorted(path.parent.name for path in PROFILES.glob("*/config.yaml"))


def find_profile(name: str | Path) -> Path:
    """Folder of a profile, by the name of a packaged one or by its path.

    Raises
    ------
    ValueError
        If it is neither.
    ModuleNotFoundError
        If the plugin of Snakemake that it submits with is not installed.
    """
    import yaml

    packaged, own = PROFILES / str(name), Path(name).expanduser().resolve()
    folder = packaged if str(name) in list_profiles() else own
    if not (folder / "config.yaml").is_file():
        raise ValueError(
            f"cluster profile {str(name)!r} is neither a packaged one ({', '.join(list_profiles())}) nor a folder with "
            "a config.yaml"
        )
    content = yaml.safe_load((folder / "config.yaml").read_text())
    executor = content.get("executor", "local") if isinstance(content, dict) else "local"
    plugin = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if executor != "local" and importlib.util.find_spec(plugin) is None:
        raise ModuleNotFoundError(
            f'{plugin} is not installed, which the profile {name} submits with: pip install "ecalnb[cluster]"',
            name=plugin,
        )
    return folder
