"""Architectures, one file each, registered with timm.

After ``import ecalnb.models`` both ``timm.create_model("ecal_resnet10")`` and :func:`create` make them; the latter also
says what is wrong with a name or an option.
"""

from . import cvt, resnet, simple_cnn  # noqa: F401  (importing an architecture registers it)
from .registry import ModelError, ModelInfo, count_parameters, create, list_models, options_of

__all__ = ["ModelError", "ModelInfo", "count_parameters", "create", "list_models", "options_of"]
