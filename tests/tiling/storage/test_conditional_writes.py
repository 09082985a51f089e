"""Of many processes that want to make, or take over, one file at once, exactly one does."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.pool import Pool
from pathlib import Path

from tiling.storage.store import Store

RACERS = 5


def create(root: str, number: int) -> bool:
    return Store(root).create("night/lock", b"made by %d" % number)


def take_over(root: str, number: int) -> bool:
    held = b"made by %d" % (RACERS + 1)
    found = Store(root).read_versioned("night/lock")
    assert found is not None
    return found.data == held and Store(root).replace_if(
        "night/lock", b"taken by %d" % number, version=found.version
    )


def race(pool: Pool, act: Callable[[str, int], bool], root: str) -> list[bool]:
    """What every one of some processes got, all acting at once."""
    return pool.starmap(act, [(root, number) for number in range(RACERS)], chunksize=1)


def assert_one_wins(root: str) -> None:
    with multiprocessing.get_context("spawn").Pool(RACERS) as pool:
        assert_one_of_them_wins(pool, root)


def assert_one_of_them_wins(pool: Pool, root: str) -> None:
    won = race(pool, create, root)
    found = Store(root).read_versioned("night/lock")
    assert won.count(True) == 1
    assert found is not None
    assert found.data == b"made by %d" % won.index(True)
    Store(root).write("night/lock", b"made by %d" % (RACERS + 1))
    won = race(pool, take_over, root)
    assert won.count(True) == 1
    assert Store(root).read("night/lock") == b"taken by %d" % won.index(True)


def assert_conditions_hold(store: Store) -> None:
    assert store.read_versioned("x") is None
    assert not store.replace_if("x", b"b", version="0")
    assert store.create("x", b"a")
    assert not store.create("x", b"a")
    first = store.read_versioned("x")
    assert first is not None
    assert first.data == b"a"
    assert store.replace_if("x", b"b", version=first.version)
    assert not store.replace_if("x", b"c", version=first.version)
    assert store.read("x") == b"b"
    assert store.names("") == ["x"]


def test_one_process_makes_a_local_file_and_one_takes_it_over(tmp_path: Path) -> None:
    assert_one_wins(str(tmp_path / "out"))


def test_a_local_file_is_made_only_where_none_is_and_replaced_only_as_it_was_read(tmp_path: Path) -> None:
    assert_conditions_hold(Store(str(tmp_path / "out")))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]


def test_one_process_makes_an_object_in_a_bucket_and_one_takes_it_over(bucket: str) -> None:
    assert_one_wins(f"{bucket}/out")


def test_an_object_is_made_only_where_none_is_and_replaced_only_as_it_was_read(bucket: str) -> None:
    assert_conditions_hold(Store(f"{bucket}/out"))
