"""Lines that other processes append to files, shown here as they come."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PAUSE_S = 0.5
"""Between two reads, seconds."""


@contextmanager
def following(files: Sequence[Path], stream: IO[str]) -> Iterator[None]:
    """Show on a stream what is appended to files during the block; they need not be there yet."""
    tails = [_Tail(file) for file in files]
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(tails, stream, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def append_line(file: Path, line: str) -> None:
    """Append a line to a followed file."""
    with file.open("a", encoding="utf-8") as text:
        text.write(line + "\n")


def _follow(tails: Sequence["_Tail"], stream: IO[str], over: threading.Event) -> None:
    last = False
    while not last:
        last = over.wait(PAUSE_S)
        for tail in tails:
            stream.write(tail.fresh())
        stream.flush()


class _Tail:
    """What was appended to a file since the last read, whole lines only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def fresh(self) -> str:
        if not self._path.exists():
            return ""
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.decode("utf-8", "replace")
