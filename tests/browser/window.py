"""One browser window on a map: what it asked for, what it shows, and hands to click with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

READY_MS = 60_000
COVERS = "#panel, #card, .maplibregl-control-container"
"""What lies over the map."""


@dataclass(slots=True)
class Window:
    """A window with a map in it."""

    page: Any
    """Playwright's page."""
    asked: list[str] = field(default_factory=list)
    """Addresses it asked for, those within the page left out."""
    errors: list[str] = field(default_factory=list)
    """Errors of its scripts."""

    @classmethod
    @contextmanager
    def of(cls, browser: Any, *, width: int = 780, height: int = 460) -> Iterator[Self]:
        """A new window."""
        context = browser.new_context(viewport={"width": width, "height": height})
        window = cls(context.new_page())
        window.page.on("request", lambda request: window._note(request.url))
        window.page.on("pageerror", lambda error: window.errors.append(str(error)))
        window.page.on("console", lambda message: window._note_console(message.type, message.text))
        try:
            yield window
        finally:
            context.close()

    def _note(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")):
            self.asked.append(url)

    def _note_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "GL Driver Message" not in text:
            self.errors.append(text)

    def open(self, url: str) -> None:
        """Load a map and wait until everything is drawn."""
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]", timeout=READY_MS)

    def wait_until_drawn(self) -> None:
        """Wait until the map has drawn what was asked of it."""
        self.page.evaluate("new Promise(done => { map.once('idle', done); map.triggerRepaint(); })")

    def restore(self) -> None:
        """Bring a loaded map back to how it was opened."""
        self.do(
            "(() => { closeCard(choose); at('reset').click();"
            " map.fitBounds(DATA.bounds, {...FIT, animate: false});"
            " document.querySelectorAll('#questions input:not(:checked), #layers input').forEach(box => {"
            " if (box.checked !== box.defaultChecked) box.click(); }); })()"
        )

    def do(self, script: str) -> Any:
        """Value of an expression in the page."""
        return self.page.evaluate(script)

    def says(self, selector: str) -> str:
        """Visible text of an element."""
        return str(self.page.inner_text(selector))

    def count(self) -> int:
        """Objects shown, as the page says."""
        return int(self.says("#count b").replace(",", ""))

    def slide(self, name: str, value: int) -> None:
        """Set a slider."""
        self.page.fill(f"#{name}", str(value))
        self.wait_until_drawn()

    def centre_on(self, lon: float, lat: float, zoom: float = 17.0) -> None:
        """Bring a place to the middle of the window."""
        self.do(f"map.jumpTo({{center: [{lon}, {lat}], zoom: {zoom}}})")
        self.wait_until_drawn()

    def click_at(self, lon: float, lat: float) -> str:
        """Click a place that is in view; what the card says then."""
        x, y = self.do(f"(({{x, y}}) => [x, y])(map.project([{lon}, {lat}]))")
        self.page.mouse.click(x, y)
        self.page.wait_for_selector("#card:not([hidden])", timeout=10_000)
        return self.says("#card")

    def pixels(self) -> NDArray[np.int16]:
        """(height, width, 3) what the map shows once all is drawn."""
        self.wait_until_drawn()
        shot = self.page.screenshot(style=f"{COVERS} {{ visibility: hidden }}")
        return np.asarray(Image.open(BytesIO(shot)).convert("RGB"), dtype=np.int16)


def coloured(pixels: NDArray[np.int16], colour: str, *, within: int = 30) -> int:
    """How many pixels (height, width, 3) have a colour, given as #rrggbb."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=2) <= within).sum())
