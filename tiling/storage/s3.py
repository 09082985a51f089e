"""Object storage as the usual AWS variables and profiles describe it: endpoint, credentials, one client.

The one place that asks them, for s3fs and for GDAL alike. Secrets stay in the memory of this process.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import fsspec
from botocore.session import Session
from fsspec.core import url_to_fs

if TYPE_CHECKING:
    import s3fs

CLIENT = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""Of every request: how long, seconds, and how often. Who asks tries whole operations again (patience)."""

CLIENT_ROUNDS = 3
"""Rounds of requests that s3fs makes where the connection breaks."""

CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")
"""Client settings that stores other than Amazon's do not understand at their default."""

AMAZON = ("amazonaws.com", "amazonaws.com.cn")
"""Ends of the host names of Amazon's own stores."""

SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Environment variables of the credentials, which GDAL's options are called like."""

_Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Access:
    """How this process reaches object storage."""

    endpoint: str
    """Address of the store, empty for Amazon's own."""
    region: str
    """Region, empty where none is set."""
    anonymous: bool
    """Whether requests are not signed: AWS_NO_SIGN_REQUEST, for public buckets."""
    session: Session = field(repr=False, compare=False)
    """Finds the credentials, and renews those that can be renewed."""

    def credentials(self) -> tuple[str, str, str]:
        """Access key, secret and session token as of now; empty where there are none.

        Raises:
            botocore.exceptions.BotoCoreError: there are some, but they cannot be had.
        """
        found = None if self.anonymous else self.session.get_credentials()
        if found is None:
            return "", "", ""
        frozen = found.get_frozen_credentials()
        return frozen.access_key or "", frozen.secret_key or "", frozen.token or ""


def is_local(uri: str) -> bool:
    """Whether an address is a path on this machine."""
    return "://" not in uri or uri.startswith("file://")


def access() -> Access:
    """How object storage is reached, by the environment as it is now.

    Raises:
        botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
        ValueError: the endpoint is not an address.
    """
    return _access(_settings())


def filesystem(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system behind an address and the path on it; one client a process and environment.

    Listings are not remembered between calls.

    Raises:
        botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
        ValueError: the endpoint is not an address, or the kind of address is unknown.
    """
    if not uri.startswith("s3://"):
        fs, path = url_to_fs(uri)
        return fs, str(path)
    return _client(_settings()), uri.removeprefix("s3://").rstrip("/")


def remembering(uri: str, *, block_bytes: int) -> "tuple[s3fs.S3FileSystem, str]":
    """A client of its own behind an s3:// address, and the path on it, that lists a folder once.

    Sizes and ETags stay those of the listing, and a file that is another by then is refused, not mixed.

    Args:
        uri: The address.
        block_bytes: Read at a time at least.

    Raises:
        botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
        ValueError: the endpoint is not an address.
    """
    fs = _new_client(access(), remember=True)
    fs.default_block_size = block_bytes
    return fs, uri.removeprefix("s3://").rstrip("/")


def check_bucket(uri: str) -> None:
    """Ask for the bucket of an s3:// address; other addresses have none.

    Raises:
        FileNotFoundError: there is no such bucket.
        Exception: whatever else the client says: the storage is away, or bucket listings are not allowed.
    """
    if uri.startswith("s3://"):
        fs, path = filesystem(uri)
        fs.call_s3("list_objects_v2", Bucket=path.split("/")[0], MaxKeys=1)


def forget() -> None:
    """Ask for credentials and open connections anew from now on."""
    _client.cache_clear()
    _access.cache_clear()


def sidecars(uri: str, endings: Sequence[str]) -> tuple[str, ...]:
    """Which files with further endings lie beside a file, found in one request.

    Args:
        uri: s3:// address of the file.
        endings: What may follow its name.

    Raises:
        FileNotFoundError: there is no such file or bucket.
        Exception: whatever else the client says.
    """
    fs, path = filesystem(uri)
    bucket, _, key = path.partition("/")
    listed = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key)
    names = {str(entry["Key"]) for entry in listed.get("Contents", ())}
    if key not in names and not listed.get("IsTruncated"):
        raise FileNotFoundError(uri)
    if listed.get("IsTruncated"):
        return tuple(endings)
    return tuple(end for end in endings if key + end in names)


def credentials_to_forward() -> dict[str, str]:
    """Environment variables that give another process this one's access as of now; secrets among them.

    Raises:
        botocore.exceptions.BotoCoreError: the credentials cannot be had.
        ValueError: the endpoint is not an address.
    """
    how = access()
    forwarded = {
        **dict(zip(SECRETS, how.credentials(), strict=True)),
        "AWS_ENDPOINT_URL_S3": how.endpoint,
        "AWS_DEFAULT_REGION": how.region,
        "AWS_NO_SIGN_REQUEST": "YES" if how.anonymous else "",
    }
    return {name: value for name, value in forwarded.items() if value}


def use_forwarded(forwarded: Mapping[str, str]) -> None:
    """Use another process's access where this one has no credentials of its own."""
    if not forwarded or access().anonymous or any(access().credentials()):
        return
    os.environ.update({name: value for name, value in forwarded.items() if name not in os.environ})


def gdal_credentials() -> dict[str, str]:
    """GDAL's options for s3:// addresses: endpoint, region and credentials.

    Raises:
        botocore.exceptions.BotoCoreError: the credentials cannot be had.
        ValueError: the endpoint is not an address.
    """
    how = access()
    options = dict(zip(SECRETS, how.credentials(), strict=True))
    if how.anonymous:
        options = {"AWS_NO_SIGN_REQUEST": "YES"}
    if how.region:
        options["AWS_REGION"] = how.region
    if how.endpoint:
        scheme, _, host = how.endpoint.partition("://")
        options |= {"AWS_S3_ENDPOINT": host.rstrip("/"), "AWS_HTTPS": "NO" if scheme == "http" else "YES"}
        options["AWS_VIRTUAL_HOSTING"] = "FALSE"
    return options


def _settings() -> _Settings:
    """What decides how storage is reached; another process or environment has a client of its own."""
    named = ((name, value) for name, value in os.environ.items() if name.startswith("AWS_") or name == "HOME")
    return (("", str(os.getpid())), *sorted(named))


@lru_cache(maxsize=4)
def _access(settings: _Settings) -> Access:
    session = Session()
    # Any client knows the endpoint that variables and profiles come to; none is asked anything.
    endpoint = str(session.create_client("s3").meta.endpoint_url)
    host = endpoint.partition("://")[2].split("/")[0].split(":")[0]
    return Access(
        endpoint="" if host.endswith(AMAZON) else endpoint,
        region=session.get_config_variable("region") or os.environ.get("AWS_REGION", ""),
        anonymous=os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "1"),
        session=session,
    )


@lru_cache(maxsize=4)
def _client(settings: _Settings) -> "s3fs.S3FileSystem":
    return _new_client(_access(settings), remember=False)


def _new_client(how: Access, *, remember: bool) -> "s3fs.S3FileSystem":
    # Imported here: commands that touch no bucket would wait a third of a second for it.
    import s3fs

    fs = s3fs.S3FileSystem(
        anon=how.anonymous,
        endpoint_url=how.endpoint or None,
        use_listings_cache=remember,
        skip_instance_cache=True,
        max_concurrency=1,  # more would ask for the size of every file before it is read
        config_kwargs={**CLIENT, **_checksums(how)},
    )
    fs.retries = CLIENT_ROUNDS
    return fs


def _checksums(how: Access) -> dict[str, str]:
    """Only the checksums that are required, where the store is not Amazon's and nobody has chosen."""
    if not how.endpoint:
        return {}
    return {name: "when_required" for name in CHECKSUMS if f"AWS_{name.upper()}" not in os.environ}
