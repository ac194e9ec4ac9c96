"""Architectures, one file each, registered with timm.

After ``import ecalnb.models`` both ``timm.create_model("ecal_resnet10")`` and :func:`create` make them; the latter also
says what is wrong with a name or an option.
"""

from . import axis, axis_resnet, coatnet, cvt, linear, resnet, simple_cnn, simple_mlp, two_view  # noqa: F401  (importing one registers it)
from .errors import ModelError
from .padding import TIMM_MODELS, PaddedModel
from .pretrained import list_weights, weights_file, weights_table
from .registry import ModelInfo, count_parameters, create, list_models, options_of

__all__ = [
    "TIMM_MODELS",
    "ModelError",
    "ModelInfo",
    "PaddedModel",
    "count_parameters",
    "create",
    "list_models",
    "list_weights",
    "options_of",
    "weights_file",
    "weights_table",
]
