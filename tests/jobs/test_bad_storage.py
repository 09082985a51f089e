"""Storage that refuses costs one sentence with the remedy, within seconds; nothing is written or told."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.commands import command
from tests.jobs.test_bad_input import NULL, assert_refused
from tests.servers.fixtures import bucket_tree, upload
from tests.servers.proxy import proxied
from tests.servers.radosgw import Server, free_ports
from tests.worlds.practice import write_tiled

LONGEST_S = 15.0
"""For a whole command, on a busy machine."""

SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables whose values nobody is told."""

Asked = tuple[Mapping[str, str], str, list[str]]
"""Environment, bucket, and words of the refusal."""


def unreachable(server: Server, bucket: str) -> Asked:
    return server.env(f"http://127.0.0.1:{free_ports(1)[0]}"), bucket, ["does not answer", "AWS_ENDPOINT_URL"]


def no_endpoint(server: Server, bucket: str) -> Asked:
    return server.env("nonsense"), bucket, ["nonsense", "AWS_ENDPOINT_URL"]


def wrong_key(server: Server, bucket: str) -> Asked:
    return {**server.env(), "AWS_ACCESS_KEY_ID": "AKNOBODY"}, bucket, ["refuses", "AWS_ACCESS_KEY_ID"]


def wrong_secret(server: Server, bucket: str) -> Asked:
    return (
        {**server.env(), "AWS_SECRET_ACCESS_KEY": "Sk8Wrong7Secret"},
        bucket,
        ["refuses", "AWS_SECRET_ACCESS_KEY"],
    )


def missing_bucket(server: Server, bucket: str) -> Asked:
    return server.env(), "s3://no-such-bucket", ["s3://no-such-bucket", "no such bucket", "make it first"]


def unknown_profile(server: Server, bucket: str) -> Asked:
    return {**server.env(), "AWS_PROFILE": "nobody"}, bucket, ["nobody", "AWS_PROFILE"]


BAD = (unreachable, no_endpoint, wrong_key, wrong_secret, missing_bucket, unknown_profile)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tiled(tmp_path / "scene.tif")


@pytest.mark.parametrize("side", ["scenes", "out"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_storage_that_refuses_costs_one_sentence(
    bad: Callable[[Server, str], Asked], side: str, bucket: str, s3_server: Server, scene: Path
) -> None:
    assert_costs_one_sentence(s3_server, bucket, scene, asked=bad(s3_server, bucket), side=side)


@pytest.mark.parametrize("side", ["scenes", "out"])
def test_an_expired_token_costs_one_sentence(side: str, bucket: str, s3_server: Server, scene: Path) -> None:
    with proxied(s3_server.endpoint) as proxy:
        proxy.refuse("ExpiredToken")
        env = {**s3_server.env(proxy.endpoint), "AWS_SESSION_TOKEN": "Token0That1Is2Over"}
        asked = env, bucket, ["refuses", "AWS_SESSION_TOKEN"]
        assert_costs_one_sentence(s3_server, bucket, scene, asked=asked, side=side)


def assert_costs_one_sentence(server: Server, bucket: str, scene: Path, *, asked: Asked, side: str) -> None:
    env, place, words = asked
    upload(server, scene.parent, f"{bucket}/in")
    before, out = bucket_tree(server, bucket), scene.parent / "out"
    scenes, target = (f"{place}/in/*.tif", str(out)) if side == "scenes" else (str(scene), f"{place}/out")
    with patch.dict(os.environ, env):
        said = command("run", scenes, "--ask", "x", *NULL, "--out", target)
    assert_refused(said, words)
    assert said.seconds < LONGEST_S
    assert not out.exists()
    assert bucket_tree(server, bucket) == before
    assert not [name for name in SECRETS if env.get(name) and env[name] in said.err]
