"""Bodies compressed as HTTP's Content-Encoding says: gzip, deflate, lz4 (frames) and zstd.

clickhouse-connect offers lz4 and zstd to every server it meets.
"""

import sys
import zlib
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]

from services.embedded.errors import Code, QueryError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say gzip framing
# In the order of preference where a client takes several: lz4 costs the least on a loopback connection.
ENCODINGS = ("lz4", "zstd", "gzip", "deflate")


class Compressor(Protocol):
    """What all four libraries offer for a stream."""

    def compress(self, data: bytes | memoryview, /) -> bytes:
        """Take the next piece and give what is ready."""

    def flush(self) -> bytes:
        """End the stream."""


class _Lz4Compressor:
    """lz4 wants its frame header asked for by name."""

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._header: bytes = self._frame.begin()

    def compress(self, data: bytes | memoryview, /) -> bytes:
        header, self._header = self._header, b""
        return header + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        return self._header + bytes(self._frame.flush())


def choose_encoding(accepted: str) -> str | None:
    """The encoding for an answer to this Accept-Encoding header; None: as it is."""
    names = {item.split(";")[0].strip().lower() for item in accepted.split(",")}
    return next((encoding for encoding in ENCODINGS if encoding in names), None)


def compressor(encoding: str) -> Compressor:
    """A compressor for one answer in one of ENCODINGS."""
    if encoding == "lz4":
        return _Lz4Compressor()
    if encoding == "zstd":
        return zstd.ZstdCompressor()
    return zlib.compressobj(level=1, wbits=GZIP_WINDOW if encoding == "gzip" else zlib.MAX_WBITS)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body of a request. Raises QueryError: unknown encoding, broken data, or more than `limit` bytes.

    Never makes more than `limit` bytes on the way, however small the body that claims to hold them.
    """
    if not encoding or encoding == "identity":
        return body
    if encoding not in ENCODINGS:
        raise QueryError(
            Code.UNKNOWN_COMPRESSION_METHOD,
            f"Unknown compression method {encoding[:50]!r}: use one of {', '.join(ENCODINGS)}.",
        )
    out = bytearray()
    try:
        while body:  # clients may send several frames, one after the other
            piece, body = _decompress_frame(body, encoding, limit + 1 - len(out))
            out += piece
            if len(out) > limit:
                raise QueryError(Code.QUERY_IS_TOO_LARGE, f"The body holds more than {limit} bytes: send less at once.")
    except (RuntimeError, EOFError, ValueError, zlib.error, zstd.ZstdError) as error:
        raise QueryError(Code.CANNOT_DECOMPRESS, f"Cannot decompress the body as {encoding}: {error}") from None
    return bytes(out)


def _decompress_frame(body: bytes, encoding: str, limit: int) -> tuple[bytes, bytes]:
    """The first frame's content, `limit` bytes at most, and what follows the frame."""
    if encoding in ("lz4", "zstd"):
        frame = lz4.frame.LZ4FrameDecompressor() if encoding == "lz4" else zstd.ZstdDecompressor()
        piece = frame.decompress(body, max_length=limit)
        done, rest = frame.eof, frame.unused_data or b""
    else:
        stream = zlib.decompressobj(GZIP_WINDOW if encoding == "gzip" else zlib.MAX_WBITS)
        piece = stream.decompress(body, limit)
        done, rest = stream.eof, stream.unused_data
    if not done and len(piece) < limit:
        raise EOFError("it ends too early")
    return bytes(piece), bytes(rest)
