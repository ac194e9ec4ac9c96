"""Keys of an event display: which key does what while the display has the focus.

A listener on the element around the widgets, because JupyterLab has meanings of its own for single keys; the attribute
``data-lm-suppress-shortcuts`` tells it to leave them alone there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .scene3d import require

__all__ = ["make_keys"]

_MODULE = """
function render({ model, el }) {
  const typing = (target) => target.matches('input:not([type=checkbox]):not([type=range]), textarea, select');
  const listen = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
    if (event.target.matches('input[type=range], [role=slider]') && event.key.startsWith('Arrow')) return;
    if (model.get('names').includes(event.key)) {
      model.send({ key: event.key });
      event.preventDefault();
      event.stopPropagation();
    }
  };
  let around = null;
  const attach = () => {
    around = el.closest('.' + model.get('around'));
    if (!around) return;
    around.setAttribute('data-lm-suppress-shortcuts', 'true');
    around.setAttribute('tabindex', '0');
    around.setAttribute('role', 'group');
    around.setAttribute('aria-label', model.get('label'));
    around.addEventListener('keydown', listen);
  };
  const later = setTimeout(attach, 0);  // the element is put into the page after this returns
  return () => { clearTimeout(later); if (around) around.removeEventListener('keydown', listen); };
}
export default { render };
"""


def make_keys(actions: Mapping[str, Callable[[], None]], around: str, label: str) -> Any:
    """Make a widget without a picture that listens to keys.

    Parameters
    ----------
    actions : mapping of str to callable
        What to do at each key, by the names that browsers give keys.
    around : str
        Class of the element, around this one, that has the focus.
    label : str
        Its name for those who do not see it.

    Raises
    ------
    ModuleNotFoundError
        If anywidget, which comes with k3d, is not installed.
    """
    anywidget, traitlets = require("anywidget"), require("traitlets")

    class Keys(anywidget.AnyWidget):  # type: ignore[name-defined]
        """Listener to keys."""

        _esm = _MODULE
        names = traitlets.List(traitlets.Unicode()).tag(sync=True)
        around = traitlets.Unicode().tag(sync=True)
        label = traitlets.Unicode().tag(sync=True)

    def pressed(_widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        if message.get("key") in actions:
            actions[message["key"]]()

    keys = Keys(names=list(actions), around=around, label=label)
    keys.on_msg(pressed)
    return keys
