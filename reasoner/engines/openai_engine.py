"""A reasoner behind an OpenAI-compatible endpoint (vLLM, SGLang, `transformers serve`).

The chat call of that protocol, with retries; the profile says how to ask and how to read the answer.
"""

import base64
import dataclasses
import hashlib
import http.client
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from reasoner.answer import Answer, Completion, TileView
from reasoner.coordinates import Coordinates
from reasoner.errors import ModelError
from reasoner.model_name import ModelName
from reasoner.profiles import Profile
from reasoner.query import Query

if TYPE_CHECKING:
    from tenacity import Retrying

_RETRIED = (408, 409, 429, 500, 502, 503, 504)
_FAILURES = (OSError, ValueError, http.client.HTTPException)
_LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is served and how often a request is retried."""

    url: str
    """Base address up to and with the version, such as http://host:8000/v1."""
    model: str
    """The model's name there."""
    api_key: str = dataclasses.field(default="", repr=False)
    """Bearer token, empty for none."""
    seed: int = 0
    """Sent with every request."""
    timeout_s: float = 300.0
    """Longest wait for one answer."""
    attempts: int = 4
    """Tries of one request before giving up."""
    pause_s: float = 0.5
    """Wait before the second try; it doubles with every further one."""
    parallel: int = 16
    """Requests under way at once; the server batches them."""


def endpoint_of(name: str, *, api_key: str = "", seed: int = 0) -> Endpoint:
    """Read `http://host:port/v1#model`.

    Raises:
        ModelError: the name holds no address or no model.
    """
    found = ModelName.parse(name).endpoint
    if found is None:
        raise ModelError(f"{name!r} names no served model: write it as http://host:port/v1#model")
    return Endpoint(*found, api_key=api_key, seed=seed)


class OpenAIReasoner:
    """Greedy answers of a served model under one profile."""

    def __init__(self, endpoint: Endpoint, profile: Profile) -> None:
        self._endpoint = endpoint
        self._profile = profile

    @property
    def digest(self) -> str:
        """Digest of the model's name and of the prompt version; the weights behind it are not visible."""
        named = hashlib.sha256(self._endpoint.model.encode()).hexdigest()[:16]
        return f"{named}-{self._profile.digest}"

    @property
    def tile_px(self) -> int:
        """Native tile size, pixels."""
        return self._profile.tile_px

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        """Answer every query about every view: one list per view, one completion per query in it.

        Raises:
            ModelError: the server refuses a request or stays unreachable.
        """
        with ThreadPoolExecutor(self._endpoint.parallel) as pool:
            images = list(pool.map(self._encoded, views))
            requests = [(image, query) for image in images for query in queries]
            completions = list(pool.map(lambda pair: self._ask(*pair), requests))
        count = len(queries)
        return [completions[number * count : (number + 1) * count] for number in range(len(views))]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size in pixels; never raises on bad text."""
        return self._profile.parse(completion, query, width=width, height=height)

    def _encoded(self, view: TileView) -> str:
        image = Image.fromarray(view.pixels)
        if self._profile.coordinates is Coordinates.RESIZED_PIXELS:
            # Sent in the size the answer counts in, the server's own resizing has nothing left to do.
            image = image.resize(self._profile.sizing.resized(*image.size), Image.Resampling.BICUBIC)
        png = io.BytesIO()
        image.save(png, "PNG")
        return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"

    def _ask(self, image_url: str, query: Query) -> Completion:
        messages = [_turn(message, image_url) for message in self._profile.messages(query)]
        body = {
            "model": self._endpoint.model,
            "messages": messages,
            "temperature": 0.0,
            "max_tokens": self._profile.max_new_tokens,
            "seed": self._endpoint.seed,
        }
        return _completion(_post(self._endpoint, body), self._endpoint)


def _turn(message: Mapping[str, object], image_url: str) -> dict[str, object]:
    content = message["content"]
    if not isinstance(content, list):
        return dict(message)
    image = {"type": "image_url", "image_url": {"url": image_url}}
    return {**message, "content": [image if part["type"] == "image" else part for part in content]}


def _post(endpoint: Endpoint, body: Mapping[str, object]) -> object:
    headers = {"Content-Type": "application/json"}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoint.url}/chat/completions", data=data, headers=headers)
    try:
        return _retrying(endpoint)(_answer_to, request, endpoint.timeout_s)
    except urllib.error.HTTPError as error:
        message = error.read(300).decode(errors="replace")
        raise ModelError(f"{endpoint.url} answered {error.code} {error.reason}: {message}") from error
    except _FAILURES as error:
        tries = endpoint.attempts
        raise ModelError(f"{endpoint.url} cannot be asked ({tries} tries): {error}") from error


def _retrying(endpoint: Endpoint) -> "Retrying":
    """How often a request is tried and how long the waits are.

    Raises:
        ModelError: it may not be tried even once.
    """
    # Imported here: in-process models run where nothing but torch and transformers is installed.
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    if endpoint.attempts < 1:
        raise ModelError(f"{endpoint.url}: attempts is {endpoint.attempts}, at least 1 is needed")
    return Retrying(
        stop=stop_after_attempt(endpoint.attempts),
        wait=wait_exponential(multiplier=endpoint.pause_s, max=_LONGEST_PAUSE_S),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may be answered a little later."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _RETRIED
    return isinstance(error, _FAILURES)


def _answer_to(request: urllib.request.Request, timeout_s: float) -> object:
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:
        return json.load(answer)


def _completion(answer: object, endpoint: Endpoint) -> Completion:
    try:
        choice = answer["choices"][0]  # type: ignore[index]  # whatever the server sent; checked here
        text = choice["message"]["content"]
        n_tokens = int(answer["usage"]["completion_tokens"])  # type: ignore[index]
        return Completion(text or "", n_tokens, truncated=choice.get("finish_reason") == "length")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"{endpoint.url} sent no chat completion: {str(answer)[:200]}") from error
