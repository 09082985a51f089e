"""A read-only object store over HTTP: enough of S3 for listing, heads and range reads."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.range_files import RangeFiles, serve

ROOT = Path(__file__).parents[2]


class Handler(RangeFiles):
    headers_of_all: ClassVar[Mapping[str, str]] = {
        "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        **RangeFiles.headers_of_all,
    }

    def answer(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        with (self.root / "requests.txt").open("a") as log:
            log.write(f"{self.command} {self.path}\n")
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if not (self.root / bucket).is_dir():
            return self.reply(404, b"<Error><Code>NoSuchBucket</Code></Error>", body)
        if not key:
            return self.reply(200, self.listing(bucket, parse_qs(url.query).get("prefix", [""])[0]), body)
        file = self.root / bucket / key
        if not file.is_file():
            return self.reply(404, b"<Error><Code>NoSuchKey</Code></Error>", body)
        self.content(file.read_bytes(), body)

    def listing(self, bucket: str, prefix: str) -> bytes:
        base = self.root / bucket
        keys = sorted(str(f.relative_to(base)) for f in base.rglob("*") if f.is_file())
        rows = "".join(
            f"<Contents><Key>{k}</Key><Size>{(base / k).stat().st_size}</Size><ETag>&quot;{k}&quot;</ETag>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
            for k in keys
            if k.startswith(prefix)
        )
        return (
            f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        ).encode()


@contextmanager
def bucket_server(root: Path) -> Iterator[tuple[str, Path]]:
    """Serve the folders below `root` as buckets; yields the endpoint and the file that lists the requests.

    In a process of its own: GDAL opens files without letting other threads run.
    """
    log = root / "requests.txt"
    log.touch()
    command = [sys.executable, "-m", __name__, str(root.resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", log
        finally:
            process.terminate()


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1])
    serve(Handler)
