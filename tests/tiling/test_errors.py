"""Claim: the errors of this folder survive pickling with their text and are builtin errors too."""

import pickle

import pytest

from pipelines.errors import StoppedError
from tiling.errors import Fault, GridError, SceneError, StorageError


@pytest.mark.parametrize("error", [SceneError("s3://a/b.tif", "has no CRS"), GridError("overlap 9")])
def test_errors_survive_pickling(error: ValueError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert isinstance(again, ValueError)


@pytest.mark.parametrize("fault", list(Fault))
def test_an_outage_survives_pickling_and_names_a_remedy(fault: Fault) -> None:
    error = StorageError("s3://a/b.tif", "SlowDown", fault)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.fault) == (StorageError, str(error), fault)
    assert "check" in str(error)
    stopped = pickle.loads(pickle.dumps(StoppedError("s3://out", str(error))))
    assert str(error) in str(stopped)
