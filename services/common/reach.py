"""Why a server cannot be reached: one more connection, judged by what the operating system and TLS say of it.

Clients bury the cause in words of their own, and those of the broker's know no code for some of them. So after a
failure this asks once more and names the hindrance; whoever knows the settings says what to do.
"""

import socket
import ssl
from enum import Enum, auto

TIMEOUT = 3.0  # seconds, for the connection and for TLS each

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_IN_ITS_TIME = (9, 10)  # not yet valid, expired
_OTHER_NAME = (62, 64)  # another host name, another address


class NotConnected(Exception):
    """A server that is needed cannot be used; the message says in one line why, and what to do."""

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting  # waiting does not help


class Hindrance(Enum):
    """What stands in the way of a connection."""

    NO_NAME = auto()
    NO_ANSWER = auto()
    SPEAKS_TLS = auto()
    SPEAKS_NO_TLS = auto()
    UNKNOWN_AUTHORITY = auto()
    OTHER_NAME = auto()
    NOT_IN_ITS_TIME = auto()

    @property
    def is_lasting(self) -> bool:
        """Whether waiting does not help: either the settings or the server's must change."""
        return self not in (Hindrance.NO_NAME, Hindrance.NO_ANSWER)

    def advice(self, server: str, *, address: str, plain: str, tls: str, authority: str) -> tuple[str, str]:
        """What is wrong, and what to do, where the given settings lead to it, turn TLS off or on and name its CA."""
        match self:
            case Hindrance.NO_NAME:
                return f"{server}: no host of that name is known.", f"Correct {address}."
            case Hindrance.NO_ANSWER:
                return f"{server} does not answer.", f"Start it, or correct {address}."
            case Hindrance.SPEAKS_TLS:
                return f"{server} speaks TLS, and was spoken to without.", f"Set {tls}."
            case Hindrance.SPEAKS_NO_TLS:
                return f"{server} breaks off where TLS begins.", f"Set {plain} if it has none, or correct {address}."
            case Hindrance.UNKNOWN_AUTHORITY:
                what = f"{server} has a certificate that no authority known here has signed."
                return what, f"Let {authority} name a file with its CA, or leave it empty for a public one."
            case Hindrance.OTHER_NAME:
                return f"{server} has a certificate for another name.", f"Give the name that stands in it as {address}."
            case Hindrance.NOT_IN_ITS_TIME:
                return f"{server} has a certificate that is not valid now.", "Renew it, or set this machine's clock."


def hindrance(host: str, port: int, *, tls: bool, ca_file: str) -> Hindrance | None:
    """What keeps a client that uses TLS or not from that server; None where nothing does. Takes 2 x TIMEOUT at most.

    `ca_file` is empty for the authorities that this machine knows.
    """
    try:
        connection = socket.create_connection((host, port), TIMEOUT)
    except socket.gaierror:
        return Hindrance.NO_NAME
    except OSError:
        return Hindrance.NO_ANSWER
    with connection:
        if tls:
            return _hindrance_in_tls(connection, host, ca_file)
        return Hindrance.SPEAKS_TLS if _speaks_tls(connection) else None


def _hindrance_in_tls(connection: socket.socket, host: str, ca_file: str) -> Hindrance | None:
    context = ssl.create_default_context(cafile=ca_file or None)
    try:
        context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OTHER_NAME:
            return Hindrance.OTHER_NAME
        return Hindrance.NOT_IN_ITS_TIME if error.verify_code in _NOT_IN_ITS_TIME else Hindrance.UNKNOWN_AUTHORITY
    except TimeoutError:
        return Hindrance.NO_ANSWER
    except OSError:
        return Hindrance.SPEAKS_NO_TLS
    return None


def _speaks_tls(connection: socket.socket) -> bool:
    """Whether it shakes hands; nothing is said to it, so it does not matter who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_socket(connection).close()
    except OSError:
        return False
    return True
