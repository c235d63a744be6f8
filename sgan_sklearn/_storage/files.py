"""Files of arrays and JSON in the safetensors format, with a checksum.

The metadata of a file hold the JSON and a checksum of all other bytes. Reading a file requires only
a JSON parser and never runs code from the file.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_arrays
from safetensors.numpy import save as format_arrays

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["read_file", "replace_file", "write_file"]

# Version of the format, increased when older readers cannot read new files, and the oldest version
# that can still be read.
FORMAT = 4
OLDEST_FORMAT = 3

# Pattern of the checksum. Strings of the header cannot match it, since their quotation marks are
# escaped.
UNKNOWN = "0" * 64
CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{64})"')

# A process locks a temporary file within this time after creating it.
SECONDS_TO_LOCK = 5.0

# Maximum number of bytes of the header, since the parsed objects are many times larger.
MAX_HEADER = 2**24


def write_file(path: Path, arrays: dict[str, np.ndarray], content: Any) -> None:
    """Write arrays and JSON to a file with `replace_file`.

    Parameters
    ----------
    path : Path
        Path of the file. The folder must exist.
    arrays : dict of str to ndarray
        Arrays of numbers or booleans.
    content : object
        Other content, which must be representable in JSON.
    """
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    metadata = {"format": f"sgan_sklearn {FORMAT}", "checksum": UNKNOWN, "content": text}
    # Old versions of safetensors omit the metadata if there is no array.
    arrays = arrays or {"": np.zeros(0, dtype=np.uint8)}
    if len(text) > MAX_HEADER // 2:
        raise ValueError(
            f"{path.name} cannot be written: without its arrays it would have {len(text)} "
            f"characters, and at most {MAX_HEADER // 2} can be read. Save large parts, such as a "
            "vocabulary of millions of words, in separate files."
        )
    data = format_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata)
    start, end = _find_checksum(data)
    complete = memoryview(bytearray(data))
    complete[start:end] = hashlib.sha256(data).hexdigest().encode()
    replace_file(path, complete)


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Write a file atomically: an existing file is replaced when the new one is complete.

    The permissions of the existing file are kept, and symbolic links are followed. Temporary files
    left by processes that were killed are removed.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {path.parent} does not exist, so {path.name} cannot be written. Create "
            "the folder first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Pass the path of a file.")
    if path.exists() and not path.is_file():
        raise OSError(
            f"{path} is not a regular file, but a device or a pipe. Pass the path of a file."
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(
            f"{path} is not writable. Change its permissions, or pass another path."
        )
    _remove_leftovers(path)
    temporary = path.with_name(f"{_temporary_prefix(path)}{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            _lock(file)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            _keep_permissions(path, temporary)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of a path, except those that a process is writing."""
    for leftover in path.parent.glob(f"{glob.escape(_temporary_prefix(path))}*.tmp"):
        # Another process may have removed the file, and Windows does not remove open files.
        with suppress(OSError), open(leftover, "rb") as file:
            if _lock(file) and not _is_new(file):
                leftover.unlink()


def _temporary_prefix(path: Path) -> str:
    # Shorten the name, which may be as long as the file system allows.
    return f".{path.name[:32]}.{hashlib.sha256(path.name.encode()).hexdigest()[:8]}."


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed. Return False if another process holds the lock."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_new(file: BinaryIO) -> bool:
    """Return whether a file was just created, so that its process may not have locked it yet."""
    status = os.fstat(file.fileno())
    return status.st_size == 0 and time.time() - status.st_mtime < SECONDS_TO_LOCK


def _keep_permissions(old: Path, new: Path) -> None:
    """Copy the mode and, if permitted, the owner of an existing file to the new one."""
    with suppress(FileNotFoundError):
        status = old.stat()
        if hasattr(os, "chown"):
            with suppress(PermissionError):
                os.chown(new, status.st_uid, status.st_gid)
        new.chmod(stat.S_IMODE(status.st_mode))


def read_file(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the content of a file.

    Raises
    ------
    ValueError
        If it is not a file of this format, was written by another version, or is damaged.
    """
    data = path.read_bytes()
    metadata = _metadata(data, path)
    version = int(metadata["format"].removeprefix("sgan_sklearn "))
    if version > FORMAT:
        raise ValueError(
            f"{path} was written by a newer version of sgan_sklearn, in format {version}; this "
            f"version reads formats up to {FORMAT}. Update sgan_sklearn."
        )
    if version < OLDEST_FORMAT:
        raise ValueError(
            f"{path} was written by a version of sgan_sklearn before the first release, in format "
            f"{version}, which is no longer supported. Fit the model again."
        )
    try:
        start, end = _find_checksum(data)
        digest = hashlib.sha256(memoryview(data)[:start])
        digest.update(UNKNOWN.encode())
        digest.update(memoryview(data)[end:])
        intact = digest.hexdigest().encode() == data[start:end]
        arrays = parse_arrays(data) if intact else {}
        content = json.loads(metadata["content"])
    except (KeyError, OverflowError, RecursionError, SafetensorError, TypeError, ValueError):
        intact = False
    if not intact:
        raise ValueError(
            f"{path} is damaged: its content has changed since it was saved. Copy it again from "
            "the place where it was saved."
        )
    return arrays, content


def _find_checksum(data: bytes) -> tuple[int, int]:
    header_length = int.from_bytes(data[:8], "little")
    found = CHECKSUM.search(data, 8, 8 + header_length)
    if found is None:
        raise ValueError("there is no checksum")
    return found.span(1)


def _metadata(data: bytes, path: Path) -> dict[str, Any]:
    """Return the metadata of a file, or raise ValueError if it does not have this format."""
    header_length = int.from_bytes(data[:8], "little")
    try:
        if header_length > min(MAX_HEADER, len(data) - 8):
            raise ValueError("the header is truncated")
        metadata: dict[str, Any] = json.loads(data[8 : 8 + header_length])["__metadata__"]
        if not re.fullmatch("sgan_sklearn [0-9]{1,9}", metadata["format"]):
            raise ValueError("no format")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a file that sgan_sklearn saved, or it is damaged or truncated."
        ) from error
    return metadata
