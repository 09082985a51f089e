"""A served model is asked with picture and question, with retries, and its words are read by the profile."""

import base64
import dataclasses
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reasoner.answer import TileView
from reasoner.engines.openai_engine import OpenAIReasoner, endpoint_of
from reasoner.errors import ModelError
from reasoner.profiles import PROFILES
from reasoner.query import Query

QUERIES = [Query("ships"), Query("cars")]


class Server(ThreadingHTTPServer):
    """Answers with the question's length as a box; fails first as often as `failures` says."""

    requests: list[dict[str, Any]]
    failures: list[int]
    finish = "stop"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "auth": self.headers["Authorization"], **body})
        status = self.server.failures.pop() if self.server.failures else 200
        question = body["messages"][-1]["content"][-1]["text"].rpartition(": ")[2]
        text = f"<answer>[[0,0,{len(question)},9]]</answer>"
        choice = {"message": {"content": text}, "finish_reason": self.server.finish}
        reply = json.dumps({"choices": [choice], "usage": {"completion_tokens": 11}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.requests, server.failures = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reasoner_at(server: Server, *, attempts: int = 2) -> OpenAIReasoner:
    endpoint = endpoint_of(f"http://127.0.0.1:{server.server_port}/v1/#m", api_key="k", seed=4)
    endpoint = dataclasses.replace(endpoint, attempts=attempts, parallel=2, pause_s=0.01)
    return OpenAIReasoner(endpoint, PROFILES["remotereasoner"])


def view(width: int = 60, height: int = 40) -> TileView:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return TileView(pixels, "tile")


def test_every_view_and_query_is_asked_and_read_in_order(server: Server) -> None:
    reasoner = reasoner_at(server)
    completions = reasoner.generate([view(), view()], QUERIES)
    assert [[one.text for one in row] for row in completions] == [
        ["<answer>[[0,0,5,9]]</answer>", "<answer>[[0,0,4,9]]</answer>"]
    ] * 2
    assert (completions[0][0].n_tokens, completions[0][0].truncated) == (11, False)
    answer = reasoner.parse(completions[0][0], QUERIES[0], width=60, height=40)
    assert np.allclose(answer.boxes, [[0, 0, 5 * 60 / 84, 9 * 40 / 56]])


def test_the_picture_is_sent_in_the_size_the_answer_counts_in(server: Server) -> None:
    reasoner_at(server).generate([view()], QUERIES[:1])
    (request,) = server.requests
    pictures = [part for part in request["messages"][-1]["content"] if part["type"] == "image_url"]
    data = pictures[0]["image_url"]["url"].removeprefix("data:image/png;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (84, 56)
    assert (request["path"], request["auth"]) == ("/v1/chat/completions", "Bearer k")
    assert (request["model"], request["temperature"], request["seed"]) == ("m", 0.0, 4)


def test_no_query_is_no_work(server: Server) -> None:
    assert reasoner_at(server).generate([view()], []) == [[]]
    assert server.requests == []


def test_a_passing_failure_is_tried_again(server: Server) -> None:
    server.failures = [503]
    assert reasoner_at(server).generate([view()], QUERIES[:1])[0][0].text
    assert len(server.requests) == 2


def test_a_lasting_failure_or_a_refusal_is_an_error_with_its_reason(server: Server) -> None:
    server.failures = [503, 503]
    with pytest.raises(ModelError, match="503"):
        reasoner_at(server).generate([view()], QUERIES[:1])
    server.requests, server.failures = [], [404]
    with pytest.raises(ModelError, match="404"):
        reasoner_at(server).generate([view()], QUERIES[:1])
    assert len(server.requests) == 1


def test_a_cut_off_answer_is_known_as_such(server: Server) -> None:
    server.finish = "length"
    assert reasoner_at(server).generate([view()], QUERIES[:1])[0][0].truncated


def test_a_server_that_is_not_there_is_named() -> None:
    endpoint = dataclasses.replace(endpoint_of("http://127.0.0.1:9/v1#m"), attempts=1)
    with pytest.raises(ModelError, match=r"127.0.0.1:9.*cannot be asked"):
        OpenAIReasoner(endpoint, PROFILES["qwen3-vl"]).generate([view()], QUERIES)
