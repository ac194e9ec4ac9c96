"""The training store: events on disk, sparse, in shards that are mapped into memory and read in any order."""

from .conversion import convert, convert_file
from .errors import StoreError
from .memory import from_showers
from .reader import Store
from .shard import Shard

__all__ = ["Shard", "Store", "StoreError", "convert", "convert_file", "from_showers"]
