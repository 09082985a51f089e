"""Claim: the errors of this folder survive pickling with their text and are builtin errors too."""

import pickle

import pytest

from tiling.errors import GridError, SceneError


@pytest.mark.parametrize("error", [SceneError("s3://a/b.tif", "has no CRS"), GridError("overlap 9")])
def test_errors_survive_pickling(error: ValueError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert isinstance(again, ValueError)
