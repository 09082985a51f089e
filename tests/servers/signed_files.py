"""A file server on loopback that wants a signature in every request, and lets each one run out.

A signature is good for a number of requests: that runs out in the middle of a read, and does so in every run.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.range_files import RangeFiles, serve

ROOT = Path(__file__).parents[2]
SECRET = "SECRET"
_numbers = count()


def sign(address: str) -> str:
    """A fresh signature behind an address."""
    return f"{address}?sig={SECRET}{next(_numbers)}"


def sign_badly(address: str) -> str:
    """A signature that no server takes."""
    return f"{address}?sig=wrong{SECRET}"


def sign_nothing(address: str) -> str:
    """Fails, with the secret in its mouth."""
    raise PermissionError(f"no leave for {address}?sig={SECRET}")


class Handler(RangeFiles):
    lasts: int
    used: ClassVar[Counter[str]] = Counter()

    def answer(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        signature = parse_qs(url.query).get("sig", [""])[0]
        self.used[signature] += 1
        good = signature.startswith(SECRET) and self.used[signature] <= self.lasts
        with (self.root / "requests.txt").open("a") as log:
            log.write(f"{200 if good else 403} {self.command} {self.path}\n")
        if not good:
            return self.reply(403, b"", body)
        file = self.root / unquote(url.path).lstrip("/")
        if not file.is_file():
            return self.reply(404, b"", body)
        self.content(file.read_bytes(), body)


@contextmanager
def signed_files(root: Path, *, lasts: int) -> Iterator[str]:
    """Serve the files below `root`; a signature lasts so many requests. Yields the server's address.

    In a process of its own: GDAL opens files without letting other threads run.
    """
    (root / "requests.txt").touch()
    command = [sys.executable, "-m", __name__, str(root.resolve()), str(lasts)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def answers(root: Path) -> Counter[str]:
    """How often the server gave each status."""
    return Counter(line.split(" ")[0] for line in (root / "requests.txt").read_text().splitlines())


if __name__ == "__main__":
    Handler.root, Handler.lasts = Path(sys.argv[1]), int(sys.argv[2])
    serve(Handler)
