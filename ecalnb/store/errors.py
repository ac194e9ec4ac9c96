"""The errors of the store."""

__all__ = ["DamagedShard", "StoreError"]


class StoreError(ValueError):
    """A store, a shard, or what was asked of them is not as it should be."""


class DamagedShard(StoreError):
    """A file that should be a shard cannot be read as one; converting its source again makes it new."""
