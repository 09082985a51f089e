"""A night killed at any write and given again ends as an undisturbed one, unseen before its orders."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

from pipelines.errors import RequestError
from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.results.check import check_result
from tests.worlds.fixtures import file_bytes
from tests.worlds.nights import Sky, draw_archive, moved, one_model
from tiling.storage.store import Store

DATE, LATER = "2026-11-24", "2026-11-25"
WRITES = ("write", "create", "replace_if", "remove", "remove_folder")
TURNS = 5
SETTLED = ("objects", "texts", "changes", "collection.json")


class KilledError(BaseException):
    """The process dies: what it would do to give things back cannot happen either."""


@dataclass
class Script:
    """Kills the process for good at its k-th call that changes the store, or at one by its name."""

    at: int = 0
    upon: str = ""
    """The method and the start of the file's name."""
    calls: int = 0
    names: list[str] = field(default_factory=list)

    def wrap(self, name: str) -> Callable[..., object]:
        real = getattr(Store, name)

        def act(store: Store, *args: object, **kwargs: object) -> object:
            self.calls += 1
            what = f"{name} {args[0]}"
            if self.upon and what.startswith(self.upon):
                self.at = self.calls
            if self.at and self.calls >= self.at:
                raise KilledError
            self.names.append(what)
            return real(store, *args, **kwargs)

        return act


@contextmanager
def scripted(at: int = 0, *, upon: str = "") -> Iterator[Script]:
    script = Script(at, upon)
    wrapped = {name: script.wrap(name) for name in WRITES}
    with patch.multiple(Store, **wrapped):
        yield script


@dataclass(frozen=True)
class Town:
    """A published dataset, and tonight's request for it."""

    sky: Sky
    kinds: list[str]
    published: Path
    """After the first night; tests must not write into it."""
    out: Path
    """Where tests write, always the same place: it stands in job.json."""

    def restore(self) -> None:
        """Put the published dataset in the place that tests write to."""
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.published, self.out)

    def night(self, date: str = DATE) -> None:
        run_nightly(self.sky.config(self.out, self.kinds, caption=True, chunk=400), date=date)

    def killed_night(self, at: int) -> list[str]:
        """The writes that came through before the k-th, which kills; the lock stays behind."""
        with pytest.raises(KilledError), scripted(at) as script:
            self.night()
        return script.names

    def files(self) -> dict[str, bytes]:
        """All files; of the ledger's only the names, because they hold how long each tile took."""
        return {
            name: b"" if name.startswith("answers") else data for name, data in file_bytes(self.out).items()
        }


def settled(folder: Path) -> dict[str, bytes]:
    """What readers of the result see."""
    return {name: data for name, data in file_bytes(folder).items() if name.startswith(SETTLED)}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Tonight a scene is new, one gone, one replaced, a question is new, one gone; captions are asked too."""
    folder = tmp_path_factory.mktemp("town")
    sky = Sky(draw_archive(folder / "archive", scenes=4, zones=2, size=160, density=4.0), folder / "sky")
    with one_model():
        sky.add(0, 1, 2)
        first, second, third = sky.commonest(3)
        run_nightly(sky.config(folder / "out", [first, second], caption=True, chunk=400), date="2026-11-23")
        (folder / "out").rename(folder / "published")
        sky.add(3)
        sky.remove(0)
        sky.replace(1, lambda truth: truth.set_geometry([moved(s, 0.04) for s in truth.geometry]))
        yield Town(sky, [second, third], folder / "published", folder / "out")


@pytest.fixture(scope="module")
def undisturbed(town: Town) -> tuple[dict[str, bytes], list[str]]:
    """Every file after a night that nothing disturbed, and its writes."""
    town.restore()
    with scripted(0) as script:
        town.night()
    return town.files(), script.names


@pytest.mark.parametrize(
    "turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in range(1, TURNS))]
)
def test_a_night_killed_at_any_write_and_given_again_ends_the_same(
    town: Town, undisturbed: tuple[dict[str, bytes], list[str]], turn: int
) -> None:
    """All turns together kill at every write."""
    files, writes = undisturbed
    assert len(writes) > 30
    published = settled(town.published)
    orders = writes.index("write night/orders.json")
    for at in range(1 + turn, len(writes) + 1, TURNS):
        town.restore()
        town.killed_night(at)
        if at <= orders + 1:
            assert settled(town.out) == published, writes[at - 1]
        town.night()
        assert town.files() == files, writes[at - 1]


def test_a_night_killed_and_given_again_for_a_later_date_tells_all_under_that_date(
    town: Town, undisturbed: tuple[dict[str, bytes], list[str]]
) -> None:
    files, writes = undisturbed
    table = f"changes/date={DATE}/changes.parquet"
    town.restore()
    town.killed_night(writes.index("write night/orders.json") + 1)
    town.night(LATER)
    now = file_bytes(town.out)
    assert now[f"changes/date={LATER}/changes.parquet"] == files[table]
    assert table not in now
    town.restore()
    town.killed_night(writes.index("write night/orders.json") + 4)
    town.night(LATER)
    now = file_bytes(town.out)
    assert now[table] == files[table]
    assert len(now[f"changes/date={LATER}/changes.parquet"]) < len(files[table])


def test_a_killed_night_is_told_by_check_and_not_taken_up_by_a_run(town: Town) -> None:
    town.restore()
    with scripted(0) as script:
        town.night()
    town.restore()
    town.killed_night(next(at for at, name in enumerate(script.names) if "answers" in name) + 2)
    config = town.sky.config(town.out, town.kinds, caption=True, chunk=400)
    before = file_bytes(town.out)
    with pytest.raises(RequestError, match="unfinished update; run: remotereasoner nightly"):
        run_job(config)
    assert file_bytes(town.out) == before
    report = check_result(Store(str(town.out)))
    assert (report.complete, report.valid) == (False, True)
    assert any("an update is under way or was killed" in problem for problem in report.problems)
