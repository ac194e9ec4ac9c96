import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ecalnb.splits import SAMPLES, Split, load_splits, split_of

KEYS = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**40)), min_size=1, max_size=30)
FROZEN = {"fit": 0.20, "train": 0.40, "validation": 0.10, "test": 0.30}


def test_packaged_default_is_frozen():
    split = load_splits()["default"]
    assert split.fractions == FROZEN
    assert split.salt == "ecalnb-1"
    # Written down once: a change of the hash would move events from training to test.
    keys = np.array([0, 1, 2**62, 2**63 - 1, 2322843523502692544]), np.array([0, 5, 17, 10**9, 3])
    assert split_of(*keys).tolist() == ["test", "test", "fit", "test", "validation"]


def plain_python_split(file_id: int, entry: int, salt: str) -> str:
    """The definition, in integers of any size."""
    import hashlib

    mask = 2**64 - 1

    def mix(value: int) -> int:
        value = (value + 0x9E3779B97F4A7C15) & mask
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    seed = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "little")
    number = (mix((mix(mix(file_id ^ seed) ^ entry) + seed) & mask) >> 11) / 2**53
    for sample, border in zip(SAMPLES, np.cumsum(list(FROZEN.values())), strict=True):
        if number < border:
            return sample
    raise AssertionError(number)


@given(KEYS)
def test_agrees_with_the_definition_in_plain_python(keys):
    file_id, entry = np.array(keys, dtype=np.int64).T
    assert split_of(file_id, entry).tolist() == [plain_python_split(*key, "ecalnb-1") for key in keys]


@given(KEYS, st.randoms())
def test_depends_on_nothing_but_the_key(keys, random):
    file_id, entry = np.array(keys, dtype=np.int64).T
    whole = split_of(file_id, entry)
    order = random.sample(range(len(keys)), len(keys))
    assert (split_of(file_id[order], entry[order]) == whole[order]).all()
    assert [split_of(f, e)[0] for f, e in zip(file_id, entry, strict=True)] == whole.tolist()


@pytest.mark.parametrize("file_id", [0, 1, 2**62 + 12345])
def test_fractions_are_those_declared(file_id):
    n = 200_000
    names, counts = np.unique(split_of(np.full(n, file_id), np.arange(n)), return_counts=True)
    assert set(names) == set(SAMPLES)
    expected = [n * FROZEN[name] for name in names]
    assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_another_salt_is_an_independent_division():
    n = 100_000
    file_id, entry = np.full(n, 3), np.arange(n)
    other = Split("other", "another salt", 0.2, 0.4, 0.1, 0.3)
    table = stats.contingency.crosstab(split_of(file_id, entry), split_of(file_id, entry, other)).count
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_files_are_divided_independently():
    n = 100_000
    table = stats.contingency.crosstab(split_of(np.full(n, 3), np.arange(n)), split_of(np.full(n, 4), np.arange(n)))
    assert stats.chi2_contingency(table.count).pvalue > 1e-4


def test_no_events_is_no_error():
    assert split_of([], []).shape == (0,)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"'defalt'; expected one of default"):
        split_of([1], [1], "defalt")
    with pytest.raises(ValueError, match="entry has dtype float64"):
        split_of([1], [0.5])
    with pytest.raises(ValueError, match="sum of 1"):
        Split("bad", "salt", 0.5, 0.5, 0.5, 0.0)
    with pytest.raises(ValueError, match="none negative"):
        Split("bad", "salt", -0.5, 0.5, 0.5, 0.5)


def test_split_file_with_unknown_or_missing_key(tmp_path):
    path = tmp_path / "datasets.toml"
    path.write_text('[splits.mine]\nsalt = "a"\nfit = 0\ntrain = 0.5\nvalidation = 0.2\ntest = 0.3\n')
    assert load_splits(path)["mine"].fractions["train"] == 0.5
    path.write_text('[splits.mine]\nsalt = "a"\nfit = 0\ntraining = 0.5\nvalidation = 0.2\ntest = 0.3\n')
    with pytest.raises(ValueError, match=r"\[splits.mine\]: unknown key 'training'.*did you mean 'train'"):
        load_splits(path)
    path.write_text('[splits.mine]\nsalt = "a"\nfit = 0\ntrain = 0.5\nvalidation = 0.2\n')
    with pytest.raises(ValueError, match="the key 'test' is missing"):
        load_splits(path)
