"""A reasoner behind an OpenAI-compatible endpoint (vLLM, SGLang, `transformers serve`).

Knows that protocol's chat call. Knows no weights; the profile says how to ask and to read.
"""

import base64
import dataclasses
import hashlib
import http.client
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from reasoner.answer import Answer, Completion, TileView
from reasoner.coordinates import Coordinates
from reasoner.errors import ModelError
from reasoner.model_name import ModelName
from reasoner.profiles import Profile
from reasoner.query import Query

_RETRIED = (408, 409, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is served and how patiently it is asked."""

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
            images = list(pool.map(self._picture, views))
            asked = [(image, query) for image in images for query in queries]
            said = list(pool.map(lambda pair: self._ask(*pair), asked))
        count = len(queries)
        return [said[place * count : (place + 1) * count] for place in range(len(views))]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size in pixels; never raises on bad text."""
        return self._profile.parse(completion, query, width=width, height=height)

    def _picture(self, view: TileView) -> str:
        image = Image.fromarray(view.pixels)
        if self._profile.coordinates is Coordinates.RESIZED_PIXELS:
            # Sent in the size the answer counts in, the server's own resizing has nothing left to do.
            image = image.resize(self._profile.sizing.resized(*image.size), Image.Resampling.BICUBIC)
        held = io.BytesIO()
        image.save(held, "PNG")
        return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"

    def _ask(self, picture: str, query: Query) -> Completion:
        messages = [_turn(message, picture) for message in self._profile.messages(query)]
        body = {
            "model": self._endpoint.model,
            "messages": messages,
            "temperature": 0.0,
            "max_tokens": self._profile.max_new_tokens,
            "seed": self._endpoint.seed,
        }
        return _completion(_post(self._endpoint, body), self._endpoint)


def _turn(message: Mapping[str, object], picture: str) -> dict[str, object]:
    content = message["content"]
    if not isinstance(content, list):
        return dict(message)
    shown = {"type": "image_url", "image_url": {"url": picture}}
    return {**message, "content": [shown if part["type"] == "image" else part for part in content]}


def _post(endpoint: Endpoint, body: Mapping[str, object]) -> object:
    headers = {"Content-Type": "application/json"}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoint.url}/chat/completions", data=data, headers=headers)
    for attempt in range(1, endpoint.attempts + 1):
        try:
            with urllib.request.urlopen(request, timeout=endpoint.timeout_s) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in _RETRIED or attempt == endpoint.attempts:
                said = error.read(300).decode(errors="replace")
                raise ModelError(f"{endpoint.url} answered {error.code} {error.reason}: {said}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            if attempt == endpoint.attempts:
                raise ModelError(f"{endpoint.url} cannot be asked ({attempt} tries): {error}") from error
        time.sleep(min(endpoint.pause_s * 2 ** (attempt - 1), 10.0))
    raise ModelError(f"{endpoint.url}: attempts is {endpoint.attempts}, at least 1 is needed")


def _completion(answer: object, endpoint: Endpoint) -> Completion:
    try:
        choice = answer["choices"][0]  # type: ignore[index]  # whatever the server sent; checked here
        text = choice["message"]["content"]
        n_tokens = int(answer["usage"]["completion_tokens"])  # type: ignore[index]
        return Completion(text or "", n_tokens, truncated=choice.get("finish_reason") == "length")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"{endpoint.url} sent no chat completion: {str(answer)[:200]}") from error
