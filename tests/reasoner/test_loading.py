"""Names find their models, a name that finds none is refused with the remedy, digests follow the content."""

import pickle
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.engines.openai_engine import OpenAIReasoner
from reasoner.errors import AnswerError, ModelError, QueryError
from reasoner.loading import (
    check_model,
    describe_reasoner,
    describe_segmenter,
    load_reasoner,
    load_segmenter,
)
from reasoner.model_files import Role, weights_digest

REMEDY = r"give a hub id, a local folder with config.json and \*.safetensors, or one of nano, null"


@pytest.fixture(autouse=True)
def unreachable_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reaches the hub: its address is one where nobody listens."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize("name", ["nanoo", "no-such/model", "/no/such/folder", "a b/c", "", "../x", "oracle"])
@pytest.mark.parametrize("role", Role)
def test_an_unknown_name_is_refused_with_the_remedy(name: str, role: Role) -> None:
    load = load_reasoner if role is Role.REASONER else load_segmenter
    with pytest.raises(ModelError, match=REMEDY) as caught:
        load(name)
    assert repr(name) in str(caught.value)
    with pytest.raises(ModelError, match=REMEDY):
        check_model(name, role=role)


def test_a_hub_that_cannot_be_reached_is_named_as_the_reason() -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        check_model("no-such/model")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that knows the model `known/model` alone; the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.path.startswith("/api/models/known/model")
            content = b'{"id": "known/model"}' if known else b"{}"
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_is_asked_once_and_its_refusal_is_named(hub: list[str]) -> None:
    check_model("known/model")
    with pytest.raises(ModelError, match=r"the hub answered 404 Not Found"):
        check_model("no-such/model")
    assert len(hub) == 2


def test_offline_without_a_cached_copy_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: pytest.fail("asked the network"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        check_model("no-such/model")


@pytest.mark.parametrize("role", Role)
def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path, role: Role) -> None:
    load = load_reasoner if role is Role.REASONER else load_segmenter
    with pytest.raises(ModelError, match=r"holds no config.json; give a hub id"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"holds no \*.safetensors"):
        load(str(tmp_path))
    with pytest.raises(ModelError, match=r"holds no \*.safetensors"):
        check_model(str(tmp_path), role=role)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"'bert'.*--profile"):
        load_reasoner(str(tmp_path))
    with pytest.raises(ModelError, match="'bert', not a segmenter"):
        load_segmenter(str(tmp_path), device="cpu")


def test_broken_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (tmp_path / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_reasoner(str(tmp_path), device="cpu")


def test_null_needs_no_weights() -> None:
    check_model("null")
    assert isinstance(load_reasoner("null"), NullReasoner)
    assert isinstance(load_segmenter("null"), NullSegmenter)
    assert describe_reasoner("null").digest == describe_segmenter("null").digest == "null"


def test_served_models_are_asked_by_the_profile_their_name_tells() -> None:
    name = "http://localhost:1/v1#Qwen/Qwen3-VL-8B-Instruct"
    check_model(name)
    served = load_reasoner(name)
    assert isinstance(served, OpenAIReasoner)
    assert served.tile_px == describe_reasoner(name).tile_px == 1024
    assert load_reasoner("http://localhost:1/v1#mine", profile="think2seg").tile_px == 840
    with pytest.raises(ModelError, match="--profile"):
        load_reasoner("http://localhost:1/v1#mine")
    with pytest.raises(ModelError, match="#model"):
        check_model("http://localhost:1/v1")


def test_digests_follow_content_and_not_place_or_notes(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    (first / "config.json").write_text("{}")
    (first / "model.safetensors").write_bytes(b"weights")
    shutil.copytree(first, second)
    (second / "README.md").write_text("notes")
    assert weights_digest(first) == weights_digest(second)
    (second / "model.safetensors").write_bytes(b"Weights")
    assert weights_digest(first) != weights_digest(second)


def test_a_hub_blob_is_known_by_its_name(tmp_path: Path) -> None:
    import hashlib

    content = b"weights"
    plain, cached, blobs = tmp_path / "plain", tmp_path / "cached", tmp_path / "blobs"
    for folder in (plain, cached, blobs):
        folder.mkdir()
    (plain / "model.safetensors").write_bytes(content)
    blob = blobs / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (cached / "model.safetensors").symlink_to(blob)
    assert weights_digest(cached) == weights_digest(plain)


@pytest.mark.parametrize("error", [ModelError("m"), QueryError("q"), AnswerError("a")])
def test_errors_survive_pickling(error: ValueError) -> None:
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))
