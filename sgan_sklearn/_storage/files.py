"""Files of arrays and JSON, in the format of safetensors, that tell when they are damaged.

The metadata of the file hold the JSON and a checksum of all other bytes. A reader needs nothing but
a JSON parser: no code of a file is ever run.
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

__all__ = ["FORMAT", "read_file", "replace_file", "write_file"]

# The version of the format, raised whenever an older reader would not understand a file, and the
# oldest one that is still read.
FORMAT = 3
OLDEST_FORMAT = 3

# Where the checksum stands. Within strings of the header a quotation mark has a backslash before
# it, so that this is found nowhere else.
UNKNOWN = "0" * 64
CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{64})"')

# A process locks a temporary file within this time of creating it.
SECONDS_TO_LOCK = 5.0

# Bytes of the header, which Python makes many times larger objects of.
MAX_HEADER = 2**24


def write_file(path: Path, arrays: dict[str, np.ndarray], content: Any) -> None:
    """Write a file, by `replace_file`.

    Parameters
    ----------
    path : Path
        Where to; the folder must exist.
    arrays : dict of str to ndarray
        Numbers or booleans.
    content : object
        Whatever else, of what JSON knows.
    """
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    metadata = {"format": f"sgan_sklearn {FORMAT}", "checksum": UNKNOWN, "content": text}
    # Old versions of safetensors leave the metadata out where there is no array.
    arrays = arrays or {"": np.zeros(0, dtype=np.uint8)}
    if len(text) > MAX_HEADER // 2:
        raise ValueError(
            f"{path.name} cannot be written: besides its arrays it would take {len(text)} "
            f"characters, and at most {MAX_HEADER // 2} can be read. Save parts of it in files of "
            "their own, such as a vocabulary of millions of words."
        )
    data = format_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata)
    start, end = _place_of_checksum(data)
    whole = memoryview(bytearray(data))
    whole[start:end] = hashlib.sha256(data).hexdigest().encode()
    replace_file(path, whole)


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Write a file as a whole: one of the same name stays until the new one is complete.

    It keeps the permissions of the old one; of a symbolic link the target is written. What earlier
    processes, which were killed, have left of this file is removed.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no regular file, but a device or a pipe. Name another one.")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} must not be written. Name another file, or allow it.")
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
    """Remove the temporary files of a file, but for those that a process is writing."""
    for leftover in path.parent.glob(f"{glob.escape(_temporary_prefix(path))}*.tmp"):
        # Another process may have removed it, and on Windows none can remove an open one.
        with suppress(OSError), open(leftover, "rb") as file:
            if _lock(file) and not _is_new(file):
                leftover.unlink()


def _temporary_prefix(path: Path) -> str:
    # Short, since a name may be as long as the file system allows.
    return f".{path.name[:32]}.{hashlib.sha256(path.name.encode()).hexdigest()[:8]}."


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed; return whether no other process has done so."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_new(file: BinaryIO) -> bool:
    """Whether a file was created just now, and its process may be about to lock it."""
    status = os.fstat(file.fileno())
    return status.st_size == 0 and time.time() - status.st_mtime < SECONDS_TO_LOCK


def _keep_permissions(old: Path, new: Path) -> None:
    """Give a new file the mode of the old one, if there is one, and its owner if allowed."""
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
        If it is not such a file, was written by a newer version, or is not as it was written.
    """
    data = path.read_bytes()
    metadata = _metadata(data, path)
    version = int(metadata["format"].removeprefix("sgan_sklearn "))
    if version > FORMAT:
        raise ValueError(
            f"{path} was written by a newer version of sgan_sklearn, in format {version}; this one "
            f"reads up to format {FORMAT}. Update sgan_sklearn."
        )
    if version < OLDEST_FORMAT:
        raise ValueError(
            f"{path} was written by a version of sgan_sklearn before the first release, in format "
            f"{version}, which is no longer read. Fit the model again."
        )
    try:
        start, end = _place_of_checksum(data)
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
            f"{path} is damaged: it is not as it was written. Copy it anew from where it was saved."
        )
    return arrays, content


def _place_of_checksum(data: bytes) -> tuple[int, int]:
    header_length = int.from_bytes(data[:8], "little")
    found = CHECKSUM.search(data, 8, 8 + header_length)
    if found is None:
        raise ValueError("there is no checksum")
    return found.span(1)


def _metadata(data: bytes, path: Path) -> dict[str, Any]:
    """Return the metadata of what seems to be a file of this kind."""
    header_length = int.from_bytes(data[:8], "little")
    try:
        if header_length > min(MAX_HEADER, len(data) - 8):
            raise ValueError("the header is cut off")
        metadata: dict[str, Any] = json.loads(data[8 : 8 + header_length])["__metadata__"]
        if not re.fullmatch("sgan_sklearn [0-9]{1,9}", metadata["format"]):
            raise ValueError("no format")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a file that sgan_sklearn saved, or it is damaged or cut off."
        ) from error
    return metadata
