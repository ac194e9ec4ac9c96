import errno

import pytest

from ecalnb._atomic import writing


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, True), (errno.EROFS, False), (errno.ENOTDIR, False)])
def test_free_space_is_told_where_it_is_what_is_wanting(tmp_path, number, told):
    with pytest.raises(ValueError, match=r"shard cannot be written: .*; nothing half-written is left") as caught:  # noqa: SIM117
        with writing(tmp_path / "shard", ValueError):
            raise OSError(number, "reason")
    assert ("GB free there" in str(caught.value)) is told
