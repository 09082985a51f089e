"""Plain data comes out of a pickle as it went in; nothing else comes out, and nothing in it runs."""

import collections
import os
import pickle
import struct
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.datasets.safe_pickle import load_plain
from training.errors import DatasetError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(min_size=1, max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles") / "refs(unc).p"


def load(path, data):
    path.write_bytes(data)
    return load_plain(path)


@given(PLAIN, st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_plain_data_comes_back(path, value, protocol):
    assert load(path, pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_numpy_scalars_become_numbers(path, protocol):
    scalars = [np.int64(-7), np.float32(1.5), np.uint8(200), np.bool_(True), np.dtype(">i4").type(5)]
    data = pickle.dumps(scalars, protocol)
    assert load(path, data) == [-7, 1.5, 200, True, 5]
    if protocol < 4:  # later ones state the length of the name
        assert load(path, data.replace(b"numpy._core", b"numpy.core")) == [-7, 1.5, 200, True, 5]


class Runs:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced

    def __repr__(self):
        call, arguments = self.reduced
        return f"{call.__module__}.{call.__qualname__}{arguments}"


@pytest.mark.parametrize(
    "value",
    [
        Runs(os.system, "touch ran"),
        Runs(eval, "open('ran', 'w')"),
        Runs(open, "ran", "w"),
        Runs(getattr, "x", "upper"),
        Runs(np.dtype, "O"),
        Runs(np.load, "ran"),
        np.arange(3),
        np.array(["x"], object)[:1],
        np.datetime64("2024-01-01"),
        date(2024, 1, 1),
        collections.OrderedDict(a=1),
        {1, 2} if pickle.DEFAULT_PROTOCOL < 4 else Runs(set, [1]),
        len,
    ],
    ids=repr,
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_everything_else_is_refused_and_not_run(path, value, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="is not a pickle of plain data"):
        load(path, pickle.dumps([value], protocol))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no pickle at all",
        pickle.dumps([1, 2, 3])[:-2],
        b"\x80\x04]r" + struct.pack("<I", 0xFFFFFFF0) + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
        b"(" * 10,
        b"\x82\x01.",
        b"Pid\n.",
    ],
)
def test_damage_is_a_sentence(path, data):
    with pytest.raises(DatasetError, match=r"refs\(unc\)\.p"):
        load(path, data)


def test_damaged_bytes_never_escape(path):
    whole = pickle.dumps([{"ref_id": np.int64(3), "sentences": [{"raw": "the ship"}]}] * 3, 2)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=3):
            data[place] = rng.integers(256)
        try:
            load(path, bytes(data))
        except DatasetError:
            refused += 1
    assert refused > 100
