"""What a port of this machine answers over HTTP."""

import urllib.error
import urllib.request


def answer(port: int, path: str) -> int:
    """The status of an answer over HTTP; 0 where there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
