"""Claim: a log holds every step once, whatever was resumed, torn or named late, and reads back as written."""

import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from training.launching.metrics_log import CSV, CURVE, EVENTS, PARQUET, MetricsLog, read_log, smoothed


def log_of(folder: Path, *, every: int = 50) -> tuple[MetricsLog, io.StringIO]:
    stream = io.StringIO()
    return MetricsLog(folder, every=every, stream=stream), stream


def steps(folder: Path) -> list[int]:
    return [row.step for row in read_log(folder)]


def test_what_is_logged_reads_back_to_the_last_bit(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    values = [0.1 + 0.2, 1e-300, -5.0, math.inf]
    for step, value in enumerate(values, start=1):
        log.add(step, {"loss": value})
        assert read_log(tmp_path)[-1].figures == {"loss": value}
    log.close()
    assert [row.figures["loss"] for row in read_log(tmp_path)] == values
    table = pq.read_table(tmp_path / PARQUET)
    assert table.to_pydict() == {"step": [1, 2, 3, 4], "loss": values}


def test_a_figure_that_comes_late_gets_a_column_and_moves_no_other(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    log.add(1, {"loss": 2.0})
    log.add(2, {"loss": 1.0, "reward/format": 0.5})
    log.add(3, {"reward/format": 0.75})
    log.close()
    assert (tmp_path / CSV).read_text().splitlines() == [
        "step,loss,reward/format", "1,2.0,", "2,1.0,0.5", "3,,0.75"
    ]  # fmt: skip
    assert pq.read_table(tmp_path / PARQUET)["reward/format"].to_pylist() == [None, 0.5, 0.75]
    again, _ = log_of(tmp_path)
    again.add(4, {"loss": 0.5})
    assert (tmp_path / CSV).read_text().splitlines()[-1] == "4,0.5,"


def test_a_resumed_log_forgets_what_is_done_again(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    for step in range(1, 8):
        log.add(step, {"loss": float(step)})
    log.close()
    again, _ = log_of(tmp_path)
    again.add(5, {"loss": 50.0})
    again.add(6, {"loss": 60.0})
    assert {row.step: row.figures["loss"] for row in read_log(tmp_path)} == {
        1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 50.0, 6: 60.0
    }  # fmt: skip


def test_figures_of_one_step_given_twice_are_united(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    log.add(1, {"loss": 1.0})
    log.add(1, {"reward": 0.5})
    log.add(1, {})
    log.add(2, {"loss": 0.5})
    assert [dict(row.figures) for row in read_log(tmp_path)] == [{"loss": 1.0, "reward": 0.5}, {"loss": 0.5}]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    for step in (1, 2, 3):
        log.add(step, {"loss": 0.125})
    whole = (tmp_path / CSV).read_bytes()
    for lost in (1, 3, 5):
        (tmp_path / CSV).write_bytes(whole[:-lost])
        assert steps(tmp_path) == [1, 2]
    again, _ = log_of(tmp_path)
    again.add(3, {"loss": 0.25})
    assert (tmp_path / CSV).read_text().splitlines()[-2:] == ["2,0.125", "3,0.25"]


def test_lines_come_every_so_many_steps_with_the_speed_between_them(tmp_path: Path) -> None:
    log, stream = log_of(tmp_path, every=10)
    for step in range(1, 22):
        log.add(step, {"loss": 1.5, "seconds": 0.5, "images": 32.0, "tokens": 100.0})
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 1", "step 11", "step 21"]
    assert "loss 1.5" in lines[1]
    assert lines[1].endswith("64 images/s  200 tokens/s")
    assert "images 32" not in lines[1]


def test_tensorboard_and_the_picture_are_written(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path)
    for step in range(1, 30):
        log.add(step, {"loss": 1 / step, "reward/format": 0.5, "reward/place": math.nan})
    log.flush()
    log.draw()
    with Image.open(tmp_path / CURVE) as picture:
        assert picture.size == (900, 300)
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    log.close()
    (events,) = (tmp_path / EVENTS).iterdir()
    assert b"reward/format" in events.read_bytes()


def test_no_log_is_no_rows(tmp_path: Path) -> None:
    assert read_log(tmp_path) == ()
    log, _ = log_of(tmp_path)
    log.close()
    assert not (tmp_path / PARQUET).exists()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(1, 20))
def test_a_smoothed_line_starts_on_the_first_value_and_stays_within(values: list[float], span: float) -> None:
    line = smoothed(np.array(values), span)
    assert line[0] == pytest.approx(values[0])
    assert line.min() >= min(values) - 1e-6
    assert line.max() <= max(values) + 1e-6
    assert smoothed(np.ones(9), span) == pytest.approx(np.ones(9))
