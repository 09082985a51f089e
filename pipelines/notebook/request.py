"""Turns the arguments of a Python caller into a request, as if they were the fields of a job file."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from os import PathLike, fspath

from pipelines import RequestError
from pipelines.plan import JobConfig, Question, load_config
from tiling.storage import Address

SceneName = Address | Mapping[str, Address]
"""A file, folder, glob or STAC document, or the files of single bands by R, G and B."""
Asked = str | Question | Mapping[str, str]
"""A question in plain words, or {text, task}."""

_REMEDIES = {
    "scenes": 'name scenes ("scene.tif", a list of them, or stac={…} for a search), and not both',
    "ask": 'ask at least one question: ask="Where are ships?"',
    "out": 'name the output folder: out="answers"',
}


def job_config(
    scenes: SceneName | Sequence[SceneName] | None,
    ask: Asked | Sequence[Asked] | None,
    config: Address | JobConfig | None,
    fields: Mapping[str, object],
) -> JobConfig:
    """The request: the fields of the job file, replaced by the values given here.

    Args:
        scenes: one scene or several.
        ask: one question or several.
        config: a job.yaml, or a request to start from.
        fields: further fields of a request by name; None counts as not given.

    Raises:
        RequestError: a field is unknown, missing or wrong.
    """
    if unknown := [name for name in fields if name not in JobConfig.model_fields]:
        raise _no_field(unknown[0])
    given = {**fields, "scenes": _listed(scenes), "ask": _listed(ask)}
    plain = {name: _plain(value) for name, value in given.items() if value is not None}
    base = config.model_dump(mode="json", exclude_unset=True) if isinstance(config, JobConfig) else {}
    path = None if config is None or isinstance(config, JobConfig) else fspath(config)
    try:
        return load_config(path, {**base, **plain})
    except RequestError as error:
        if error.field in _REMEDIES and "--" in error.remedy:  # it names flags, which do not exist in Python
            raise RequestError(error.field, error.reason, _REMEDIES[error.field]) from error
        raise


def _no_field(name: str) -> RequestError:
    (nearest,) = get_close_matches(name, JobConfig.model_fields, n=1, cutoff=0.0)
    return RequestError(name, "a job has no such field", f"the nearest is {nearest}")


def _listed(value: object) -> list[object] | None:
    """One value or several as a list."""
    if value is None:
        return None
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return list(value) if several else [value]  # type: ignore[call-overload]


def _plain(value: object) -> object:
    """A value as a job file would have it, including the paths and questions inside it."""
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Question):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
