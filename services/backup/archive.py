"""A backup on the disk: one file a table, and a manifest that says what is in them.

    manifest.json     what was saved of what, with rows, bytes and a SHA-256 of each file; written last
    edits.tsv.zst     TabSeparatedWithNames, zstd: `zstd -dc edits.tsv.zst | head` shows it, and any ClickHouse reads it

A folder gets its name when it is whole: without a manifest there is no backup.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = 1  # of the manifest and the files; another one is refused
MANIFEST = "manifest.json"
PIECE = 4 * 2**20  # bytes read at once
CHUNK = 32 * 2**20  # bytes of rows that a restore sends at once, about; the embedded endpoint takes 256 MiB


class BadBackup(Exception):
    """It is no whole backup, or cannot be made; the message says what to do."""


class TableFile(msgspec.Struct, frozen=True):
    """One table's rows."""

    table: str
    file: str
    columns: list[str]
    rows: int
    bytes: int  # of the file
    sha256: str  # of the file


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds."""

    format: int
    made: datetime  # UTC, ClickHouse's clock; all that was stored by then is in it
    version: str  # of the project
    migration: int  # the newest that the tables had
    clickhouse: str  # its version
    database: str
    tables: list[TableFile]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that gets its name at the end, or is gone where anything failed. Raises BadBackup."""
    if target.exists():
        raise BadBackup(f"{target} is there already: give the backup a name of its own.")
    if not target.parent.is_dir():
        raise BadBackup(f"{target.parent} is no folder: make it first.")
    try:
        aside = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise BadBackup(f"{target.parent} cannot be written: {error}") from error
    try:
        yield aside
        _sync(aside)
        aside.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_table(
    folder: Path, table: str, columns: list[str], pieces: Iterable[bytes], tell: Callable[[int], None]
) -> TableFile:
    """Write a table's file out of its text, names first; `tell` hears how many rows there are so far.

    Raises OSError, and BadBackup where the text ends within a line or its names are others.
    """
    path = folder / f"{table}.tsv.zst"
    packer, digest = zstd.ZstdCompressor(), hashlib.sha256()
    lines = size = 0
    head, last = b"", b"\n"
    with path.open("wb") as file:
        for piece in pieces:
            if b"\n" not in head:
                head += piece[: PIECE - len(head)]
            lines += piece.count(b"\n")
            last = piece[-1:] or last
            packed = packer.compress(piece)
            digest.update(packed)
            size += file.write(packed)
            tell(max(lines - 1, 0))
        packed = packer.flush()
        digest.update(packed)
        size += file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    names = head.split(b"\n", 1)[0].decode().split("\t")
    if names != columns or last != b"\n":
        raise BadBackup(f"ClickHouse's answer for {table} broke off: try again; its log has the cause.")
    return TableFile(table, path.name, columns, lines - 1, size, digest.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it; with it the backup is whole."""
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    _sync(path)


def read_manifest(folder: Path) -> Manifest:
    """What a backup holds. Raises BadBackup."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BadBackup(f"{folder} is no backup: it has no {MANIFEST}.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BadBackup(f"{path} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BadBackup(
            f"{folder} has the format {manifest.format}, this version reads {FORMAT}: "
            f"restore it with the version that made it, {manifest.version}."
        )
    return manifest


def check(folder: Path, table: TableFile) -> None:
    """Hold a file against the manifest. Raises BadBackup."""
    path = folder / table.file
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise BadBackup(f"{path} cannot be read: {error}. Take another copy of the backup.") from error
    if digest.hexdigest() != table.sha256:
        raise BadBackup(f"{path} is damaged, its SHA-256 is not the manifest's. Take another copy of the backup.")


def read_chunks(folder: Path, table: TableFile, size: int = CHUNK) -> Iterator[bytes]:
    """A table's rows as text without the names, in whole lines, about `size` bytes at once."""
    rest = bytearray()
    with zstd.open(folder / table.file, "rb") as file:
        file.readline()
        while piece := file.read(PIECE):
            rest += piece
            if len(rest) >= size and (end := rest.rfind(b"\n") + 1):
                yield bytes(rest[:end])
                del rest[:end]
    if rest:
        yield bytes(rest)


def _sync(path: Path) -> None:
    """Make what was written to a file or a folder outlive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
