"""What a notebook cell shows of a report: pictures as they are in their files, and pieces of HTML."""

from __future__ import annotations

import io
from pathlib import Path

__all__ = ["Html", "Picture", "thumbnail"]


class Picture:
    """A saved figure that a notebook cell shows, as it is in the file.

    Parameters
    ----------
    path : Path
        The PNG.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<Picture {self.path}>"

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


class Html:
    """A piece of HTML that a notebook cell shows.

    Parameters
    ----------
    text : str
        The HTML.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text


def thumbnail(path: Path, width: int = 330) -> bytes:
    """Make a small copy of a picture, so that a notebook does not hold everything twice."""
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((width, width))
    stream = io.BytesIO()
    small.save(stream, "PNG")
    return stream.getvalue()
