"""S3 as the usual AWS variables and profiles describe it: endpoint, credentials, one client, its errors.

The one place that asks them, for s3fs and for GDAL alike. Secrets stay in the memory of this process.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSOError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.session import Session
from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from tiling.storage.schemes import ConditionalPut, ObjectStorage

if TYPE_CHECKING:
    import s3fs

CLIENT = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""Of every request: how long, seconds, and how often. Callers repeat whole operations (`with_retry`)."""

CLIENT_ROUNDS = 3
"""Rounds of requests that s3fs makes where the connection breaks."""

CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")
"""Client settings that stores other than Amazon's do not understand at their default."""

AMAZON = ("amazonaws.com", "amazonaws.com.cn")
"""Ends of the host names of Amazon's own stores."""

SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Environment variables of the credentials, which GDAL's options are called like."""

REFUSALS = {
    "AccessDenied", "AllAccessDisabled", "AccountProblem", "ExpiredToken", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSecurity", "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
"""Codes that mean the credentials, whatever the status."""

WITHOUT_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    SSOError,
)
"""Raised where there are no credentials to ask with."""

OUTAGES = (BotoConnectionError, HTTPClientError, ResponseStreamingError)
"""Raised where the connection broke."""

WRITER = "writer"
"""Metadata key of a conditional PUT: which attempt the object comes from."""

CONDITION_FAILED = 412
"""HTTP status of a PUT whose condition does not hold."""

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


class S3(ObjectStorage):
    """Addresses `s3://bucket/key`, on Amazon's storage and on all that speak its protocol."""

    gdal_prefix = "/vsis3/"
    settings = (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
    )
    forwarded_names = (*SECRETS, "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_NO_SIGN_REQUEST")
    remedy = "check the address and AWS_ENDPOINT_URL"

    def filesystem(self, uri: str) -> tuple[AbstractFileSystem, str]:
        """The client of this process and environment, and the path on it.

        Raises:
            botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
            ValueError: the endpoint is not an address.
        """
        return _client(_settings()), _path(uri)

    def snapshot(self, uri: str, *, block_bytes: int) -> tuple[AbstractFileSystem, str]:
        """A client of its own that lists a folder once; a file whose ETag has changed since is refused.

        Raises:
            botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
            ValueError: the endpoint is not an address.
        """
        fs = _new_client(access(), remember=True)
        fs.default_block_size = block_bytes
        return fs, _path(uri)

    def check_bucket(self, uri: str) -> None:
        """Ask for the bucket of an address.

        Raises:
            FileNotFoundError: there is no such bucket.
            Exception: whatever else s3fs raises: the storage is away, or bucket listings are not allowed.
        """
        fs, path = self.filesystem(uri)
        fs.call_s3("list_objects_v2", Bucket=path.split("/")[0], MaxKeys=1)

    def sidecars(self, uri: str, endings: Sequence[str]) -> tuple[str, ...]:
        """Which files with further endings lie beside a file, found in one request.

        Raises:
            FileNotFoundError: there is no such file or bucket.
            Exception: whatever else s3fs raises.
        """
        fs, path = self.filesystem(uri)
        bucket, _, key = path.partition("/")
        listed = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key)
        names = {str(entry["Key"]) for entry in listed.get("Contents", ())}
        if key not in names and not listed.get("IsTruncated"):
            raise FileNotFoundError(uri)
        if listed.get("IsTruncated"):
            return tuple(endings)
        return tuple(end for end in endings if key + end in names)

    def read_versioned(self, fs: AbstractFileSystem, path: str) -> tuple[bytes, str]:
        """Content of a file and its ETag, unquoted, which every server takes back.

        Raises:
            FileNotFoundError: it is not there.
        """
        data, etag = sync(fs.loop, _get, fs, path)
        return bytes(data), str(etag)

    def conditional_put(self, data: bytes, *, version: str | None) -> ConditionalPut:
        """A PUT with If-Match on the ETag, or with If-None-Match.

        A PUT whose answer got lost is repeated and then finds its own object: the writer's mark tells.
        """
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        mark = secrets.token_hex(8)

        def put(fs: AbstractFileSystem, path: str) -> bool:
            bucket, key, _ = fs.split_path(path)
            where = {"Bucket": bucket, "Key": key}
            try:
                fs.call_s3("put_object", **where, Body=data, Metadata={WRITER: mark}, **condition)
            except OSError as error:
                if self.status(error) != CONDITION_FAILED:
                    raise
                return _writer(fs, where) == mark
            return True

        return put

    def gdal_options(self) -> dict[str, str]:
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

    def credentials(self) -> tuple[str, str, str] | None:
        """Key, secret and token; None where they cannot be found out, which the request itself will say."""
        try:
            return access().credentials()
        except (BotoCoreError, ValueError):
            return None

    def forget(self) -> None:
        """Ask for credentials and open connections anew from now on."""
        _client.cache_clear()
        _access.cache_clear()

    def credentials_to_forward(self) -> dict[str, str]:
        """Environment variables that give another process this one's access as of now; secrets among them.

        Raises:
            botocore.exceptions.BotoCoreError: the credentials cannot be had.
            ValueError: the endpoint is not an address.
        """
        how = access()
        values = (*how.credentials(), how.endpoint, how.region, "YES" if how.anonymous else "")
        return {name: value for name, value in zip(self.forwarded_names, values, strict=True) if value}

    def has_credentials(self) -> bool:
        """Whether there are credentials, or requests need none."""
        return access().anonymous or any(access().credentials())

    def status(self, error: BaseException) -> int:
        """Status of the HTTP answer behind an error, 0 where there was none."""
        answer = _answer(error)
        if answer is None:
            return super().status(error)
        return int(answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

    def code(self, error: BaseException) -> str:
        """Code of the answer that an error was made of, such as NoSuchBucket."""
        answer = None if isinstance(error, BotoCoreError) else _answer(error)
        return str(answer.response.get("Error", {}).get("Code", "")) if answer is not None else ""

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the storage does not accept the credentials, or there are none."""
        return isinstance(error, WITHOUT_CREDENTIALS) or self.code(error) in REFUSALS

    def is_outage(self, error: BaseException) -> bool:
        """Whether the connection broke, so that another try may succeed."""
        return isinstance(error, OUTAGES) or super().is_outage(error)


def access() -> Access:
    """How object storage is reached, by the environment as it is now.

    Raises:
        botocore.exceptions.BotoCoreError: a profile or a setting is wrong.
        ValueError: the endpoint is not an address.
    """
    return _access(_settings())


def _path(uri: str) -> str:
    return uri.removeprefix("s3://").rstrip("/")


def _answer(error: BaseException) -> ClientError | None:
    """The answer of the store that an error was made of."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ClientError):
        cause = cause.__cause__
    return cause


def _writer(fs: AbstractFileSystem, where: Mapping[str, str]) -> str:
    """Mark of the conditional PUT that an object comes from, empty where there is none."""
    try:
        return str(fs.call_s3("head_object", **where)["Metadata"].get(WRITER, ""))
    except FileNotFoundError:
        return ""


async def _get(fs: AbstractFileSystem, path: str) -> tuple[bytes, str]:
    """Bytes and ETag from one answer."""
    bucket, key, _ = fs.split_path(path)
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key)
    async with answer["Body"] as body:
        return await body.read(), str(answer["ETag"]).strip('"')


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
