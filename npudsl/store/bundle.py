"""Bundles: results and their blobs in one file, to carry a cache from one machine to another.

A bundle is a tar file of ``cas/<sha256>`` and ``ac/<key>`` members, blobs first, in the order of their names and
without times or owners, so equal contents give equal files. Reading one trusts nothing: a member that is no plain
file, or is called anything else, spoils the bundle; a blob is hashed while it is copied and gets its name only when
it fits; a result is taken only when it fits its checksum and all its blobs are here. What a result *claims* (this key
has this value) cannot be checked: import bundles of people whose builds you would trust.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from npudsl.diagnostics import Diagnostic, EnvironmentMissing, Place, UserError
from npudsl.store.cache import Cache
from npudsl.store.content import BlobMissing
from npudsl.store.results import is_digest, parse_result, sealed_result

COPY_BYTES = 1 << 20
MOST_RESULT_BYTES = 64 << 20
"""A result is a list of names and digests; what is larger is none."""


@dataclass(frozen=True)
class Bundled:
    """What was put into a bundle, or taken from one; ``known`` results were there already."""

    results: int
    blobs: int
    blob_bytes: int
    known: int = 0


def write_bundle(cache: Cache, keys: Iterable[str], path: Path) -> Bundled:
    """Write the results of ``keys`` and their blobs; raises ``BlobMissing`` and ``EnvironmentMissing`` E0906."""
    results = [result for key in sorted(set(keys)) if (result := cache.results.get(key)) is not None]
    blobs = {blob.digest: blob for result in results for blob in result.tree.values()}
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            for digest in sorted(blobs):
                cache.content.ensure(blobs[digest])
                with cache.content.path(digest).open("rb") as stream:
                    archive.addfile(_member(f"cas/{digest}", blobs[digest].size), stream)
            for result in results:
                data = sealed_result(result)
                archive.addfile(_member(f"ac/{result.key}", len(data)), io.BytesIO(data))
        temporary.replace(path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise EnvironmentMissing([Diagnostic("E0906", message)]) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Bundled(len(results), len(blobs), sum(blob.size for blob in blobs.values()))


def read_bundle(cache: Cache, path: Path) -> Bundled:
    """Take a bundle's results into the cache; raises ``UserError`` E0907 for a bundle that is not what it should be.

    Nothing of the bundle counts before all of its blobs were checked.
    """
    contents: dict[str, bytes] = {}
    blobs = size = known = 0
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.partition("/")
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or folder not in ("cas", "ac") or not is_digest(name):
                    raise _spoilt(path, f"it holds {member.name!r}, which is no blob and no result")
                if folder == "ac":
                    if member.size > MOST_RESULT_BYTES:
                        raise _spoilt(path, f"its result {name[:12]} claims {member.size} bytes")
                    contents[name] = stream.read()
                    continue
                _take_blob(cache, name, stream, path)
                blobs, size = blobs + 1, size + member.size
    except (OSError, tarfile.TarError, EOFError) as error:
        raise _spoilt(path, f"it cannot be read: {error}") from error
    for key, data in contents.items():
        result = parse_result(data, key)
        if result is None:
            raise _spoilt(path, f"its result {key[:12]} is damaged")
        try:
            for blob in result.tree.values():
                cache.content.ensure(blob)
        except BlobMissing as missing:
            raise _spoilt(path, f"the {missing} which its result {key[:12]} needs") from missing
        if cache.results.get(key) is not None:
            known += 1
            continue
        cache.publish(key, result.tree, result.wall_seconds)
    return Bundled(len(contents), blobs, size, known)


def _take_blob(cache: Cache, digest: str, stream: IO[bytes], path: Path) -> None:
    hasher = hashlib.sha256()
    home = cache.content.home
    with home.temporary() as temporary:
        with temporary.open("xb") as copy:
            while chunk := stream.read(COPY_BYTES):
                hasher.update(chunk)
                copy.write(chunk)
        if hasher.hexdigest() != digest:
            raise _spoilt(path, f"its blob {digest[:12]} has other content than its name says")
        home.publish(temporary, digest)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o444
    return member


def _spoilt(path: Path, why: str) -> UserError:
    message = f"{path} is no bundle that can be imported: {why}"
    help_ = "export it again: npu cache export FILE PROGRAM.npu"
    return UserError([Diagnostic("E0907", message, places=(Place(str(path)),), helps=(help_,))])
