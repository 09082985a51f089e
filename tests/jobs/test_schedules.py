"""The ready-made schedules call a command that exists, with flags it takes, once a day."""

import ast
import configparser
import re
import shlex
from pathlib import Path

import pytest
import typer
from click.testing import CliRunner

from pipelines.cli.app import app
from pipelines.plan.load_request import load_config

FOLDER = Path(__file__).parents[2] / "examples" / "schedules"
DAG = FOLDER / "airflow" / "nightly_dag.py"


def from_cron() -> str:
    (line,) = [
        line for line in (FOLDER / "crontab").read_text("utf-8").splitlines() if re.match(r"[\d*]", line)
    ]
    minute, hour, *days, command = line.split(maxsplit=5)
    assert (0 <= int(minute) < 60, 0 <= int(hour) < 24, days) == (True, True, ["*", "*", "*"])
    assert "%" not in command.replace(r"\%", ""), "cron takes a bare per cent sign for the end of the line"
    inner = command.partition("&& ")[2].partition(" >>")[0].replace(r"\%", "%")
    return inner.replace('"$(date -u +%F)"', "2026-11-25")


def from_systemd() -> str:
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.optionxform = str  # type: ignore[assignment, method-assign]
    service.read(FOLDER / "remotereasoner-nightly.service")
    timer = configparser.ConfigParser(interpolation=None)
    timer.read(FOLDER / "remotereasoner-nightly.timer")
    assert timer["Timer"]["OnCalendar"].endswith("UTC")
    return service["Service"]["ExecStart"]


def from_airflow() -> str:
    tree = ast.parse(DAG.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if ast.unparse(node.func) == "BashOperator"]
    (command,) = [word.value.value for word in call.keywords if word.arg == "bash_command"]  # type: ignore[attr-defined]
    assert "--date {{ ds }}" in command
    return str(command).replace("{{ ds }}", "2026-11-25")


@pytest.mark.parametrize("words", [from_cron, from_systemd, from_airflow])
def test_each_schedule_gives_a_command_that_parses(words: object, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *args = shlex.split(words())  # type: ignore[operator]
    assert Path(program).name == "remotereasoner"
    assert args[0] == "nightly"
    assert args[1].endswith("job.yaml")
    reached = CliRunner().invoke(typer.main.get_command(app), [args[0], "no-such-job.yaml", *args[2:]])
    assert "no-such-job.yaml cannot be read" in str(reached.exception)


def test_the_flags_of_a_schedule_are_checked() -> None:
    refused = CliRunner().invoke(typer.main.get_command(app), ["nightly", "job.yaml", "--day", "2026-11-25"])
    assert refused.exit_code == 2
    assert "No such option" in refused.output


def test_the_dag_runs_one_update_at_a_time_without_catching_up() -> None:
    (call,) = [
        node
        for node in ast.walk(ast.parse(DAG.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DAG"
    ]
    given = {word.arg: word.value for word in call.keywords}
    assert ast.literal_eval(given["catchup"]) is False
    assert ast.literal_eval(given["max_active_runs"]) == 1
    assert len(ast.literal_eval(given["schedule"]).split()) == 5


def test_the_job_file_beside_them_is_a_request() -> None:
    config = load_config(str(FOLDER / "job.yaml"), {})
    assert len(config.queries()) == 2
    assert config.out.startswith("s3://")
