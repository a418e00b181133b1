"""One LXD or Incus server: requests through pylxd, web sockets, and errors a person can use."""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gbuild.backends.lxd.address import Address
from gbuild.backends.lxd.refusals import AWAY, MEMBERS, hint_for, spoken
from gbuild.backends.lxd.websocket import Refused, WebSocket
from gbuild.errors import BackendFailure
from gbuild.host.libraries import missing_library

if TYPE_CHECKING:
    import pylxd
    import requests

_CONNECT = 10.0
_GREETING = 30.0
"""Seconds that a server may take to say who it is: one that is frozen still takes connections."""

_ANSWER = 900.0
"""Seconds that any other request may take: a large image on a slow disk."""


class NotThere(BackendFailure):
    """The server has no such thing."""


class Away(BackendFailure):
    """The server, or the member of a cluster that was asked for, is out of reach."""


class Daemon:
    """A server that lets us in.

    Attributes:
        address: where it is.
        flavour: ``lxd`` or ``incus``.
        version: what it says of itself, such as ``5.0.2``.
    """

    def __init__(self, address: Address, *, greeting: float = _GREETING) -> None:
        """Connect and look who answers, within ``greeting`` seconds.

        Raises:
            MissingTool: pylxd is not installed.
            BackendFailure: it does not answer, is another server than the pinned one, or does
                not trust our certificate.
        """
        self.address = address
        self.flavour = "lxd"
        self.clustered = False
        self._client = self._connected(greeting)
        info = self._client.host_info
        environment = info.get("environment", {})
        self.flavour = str(environment.get("server", "lxd"))
        self.version = str(environment.get("server_version", ""))
        self.certificate = str(environment.get("certificate_fingerprint", ""))
        self.clustered = bool(environment.get("server_clustered", False))
        self.extensions = frozenset(info.get("api_extensions", ()))
        self.features: Mapping[str, str] = environment.get("kernel_features") or {}

    @property
    def label(self) -> str:
        """How a person knows it."""
        return self.address.endpoint

    def lives(self) -> bool:
        """Ask again whether the server is there and lets us in.

        Raises:
            BackendFailure: it is not, or does not.
        """
        with _Failures(self, "say who it is"):
            self._knock()
            self._check_trust(self._client.api.get().json()["metadata"])
        return True

    def get(self, *path: str, doing: str, recursion: int = 0) -> Any:  # noqa: ANN401 - JSON
        """Return the metadata of a resource.

        Raises:
            NotThere: there is none.
            BackendFailure: the server refused or does not answer.
        """
        params = {"recursion": str(recursion)} if recursion else {}
        return self.ask("get", path, doing=doing, params=params)

    def ask(
        self,
        method: str,
        path: Iterable[str],
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        **words: Any,  # noqa: ANN401 - requests takes them
    ) -> Any:  # noqa: ANN401 - JSON
        """Make a request and return its metadata, once the operation it began has ended.

        ``doing`` says in a few words what for, as in "refused to <doing>".
        """
        answer = self.begin(method, path, doing=doing, params=params, **words)
        if answer.get("type") != "async":
            return answer.get("metadata")
        return self.finish(answer, doing=doing)

    def begin(
        self,
        method: str,
        path: Iterable[str],
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        **words: Any,  # noqa: ANN401 - requests takes them
    ) -> Mapping[str, Any]:
        """Make a request and return the whole answer, whether or not the work is done."""
        node = self._client.api["/".join(quote(name, safe="") for name in path)]
        call = getattr(node, method)
        with _Failures(self, doing):
            self._knock()
            limits = (_CONNECT, _ANSWER)
            said = call(params=dict(params or {}), timeout=limits, **words)
            answer: Mapping[str, Any] = said.json()
            return answer

    def finish(self, answer: Mapping[str, Any], *, doing: str) -> Any:  # noqa: ANN401 - JSON
        """Wait for an operation that :meth:`begin` began; return what it left."""
        ended = self.get("operations", operation_of(answer), "wait", doing=doing)
        if ended.get("status_code") != 200:
            raise self.refusal(doing, str(ended.get("err") or ended.get("status")))
        return ended.get("metadata") or {}

    def open(self, resource: str, *, doing: str) -> WebSocket:
        """Open a web socket."""
        host = "localhost"
        with _Failures(self, doing):
            if self.address.remote:
                host, link = self._tls()
            else:
                link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                if not self.address.remote:
                    link.connect(self.address.endpoint)
                return WebSocket(link, host=host, resource=resource)
            except BaseException:
                link.close()
                raise

    def refusal(self, doing: str, said: str) -> BackendFailure:
        """Return the error for something the server said no to."""
        low = said.lower()
        kind: type[BackendFailure] = NotThere if "not found" in low else BackendFailure
        brief = f"{self.label} refused to {doing}"
        if any(words in low for words in AWAY):
            kind = Away
            brief = f"{self.label} does not reach another member of its cluster to {doing}"
        return kind(brief, details=(said,), hint=self.hint_for(said))

    def hint_for(self, said: str) -> str | None:
        """Return what helps; a cluster says many things before it knows that a member is gone."""
        known = hint_for(said, self.flavour)
        return self.spoken(MEMBERS) if known is None and self.clustered else known

    def spoken(self, hint: str) -> str:
        """Return a hint with the commands of the server's own client."""
        return spoken(hint, self.flavour)

    def _tls(self) -> tuple[str, socket.socket]:
        host, port = self.address.host_port
        plain = socket.create_connection((host, port), timeout=_CONNECT)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _context(self.address).wrap_socket(plain, server_hostname=host)
        link.settimeout(None)
        der = link.getpeercert(binary_form=True) or b""
        if hashlib.sha256(der).hexdigest() != self.address.pin:
            link.close()
            raise self._another(hashlib.sha256(der).hexdigest())
        return f"{host}:{port}", link

    def _connected(self, greeting: float) -> pylxd.Client:
        try:
            import pylxd
        except ImportError as error:
            raise missing_library("pylxd", extra="lxd") from error
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # "pool is full" is no news
        endpoint = self.address.endpoint
        if not self.address.remote:  # a path that is not there would be taken for a URL
            endpoint = f"http+unix://{quote(endpoint, safe='')}"
        with _Failures(self, "say who it is"):
            self._knock()
            client = pylxd.Client(
                endpoint=endpoint,
                session=_session(self.address),
                timeout=(_CONNECT, greeting),
                project=self.address.project or None,
            )
            self._check_trust(client.host_info)
            return client

    def _knock(self) -> None:
        """Find out whether anybody listens: pylxd would leave its socket open if not."""
        if not self.address.remote:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
                trial.settimeout(_CONNECT)  # a frozen one may have no room in its line
                trial.connect(self.address.endpoint)

    def _check_trust(self, info: Any) -> None:  # noqa: ANN401 - JSON
        if not isinstance(info, dict) or not isinstance(info.get("environment", {}), dict):
            raise TypeError(f"it describes itself by {info!r}")
        if info.get("auth") != "trusted":
            raise BackendFailure(
                f"{self.label} does not trust the certificate {self.address.cert}",
                hint=f"there: lxc config trust add {self.address.cert} (incus: add-certificate)",
            )

    def _another(self, found: str) -> BackendFailure:
        return BackendFailure(
            f"{self.label} shows another certificate than the pinned one",
            details=(f"pinned sha256 {self.address.pin}", f"shown  sha256 {found}"),
            hint="if the server was made anew: --backend-option pin=SHA256",
        )

    def unreachable(self, error: BaseException) -> BackendFailure:
        """Return the error for a server that cannot be reached."""
        text = _innermost(error)
        if "ingerprint" in text and "match" in text:
            return BackendFailure(
                f"{self.label} shows another certificate than the pinned one",
                details=(text,),
                hint="if the server was made anew: --backend-option pin=SHA256",
            )
        if isinstance(error, PermissionError) or "Permission denied" in text:
            hint = "sudo adduser $USER lxd (incus: incus-admin), then log in again"
        elif self.address.remote:
            hint = "is it running, and is core.https_address set there? gdoctor tries it"
        else:
            hint = "sudo systemctl start lxd (or incus); gdoctor tries it"
        return Away(
            f"the LXD or Incus daemon at {self.label} does not answer", details=(text,), hint=hint
        )


class _Failures:
    """Turns what pylxd, requests and sockets raise into our errors."""

    def __init__(self, daemon: Daemon, doing: str) -> None:
        self._daemon = daemon
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, BackendFailure):
            return
        from pylxd import exceptions

        if isinstance(error, exceptions.NotFound):
            said = str(error) or "not found"
            raise NotThere(
                f"{self._daemon.label} refused to {self._doing}",
                details=(said,),
                hint=self._daemon.hint_for(said),
            ) from error
        if isinstance(error, exceptions.LXDAPIException):
            raise self._daemon.refusal(self._doing, str(error)) from error
        if isinstance(error, OSError | exceptions.ClientConnectionFailed):  # requests' are OSErrors
            raise self._daemon.unreachable(error) from error
        if isinstance(error, Refused | ValueError | KeyError | TypeError):
            raise BackendFailure(
                f"{self._daemon.label} answered nonsense when asked to {self._doing}",
                details=(str(error)[:500],),
                hint=self._daemon.hint_for(str(error)),
            ) from error


def operation_of(answer: Mapping[str, Any]) -> str:
    """Return the id of the operation that an answer names."""
    return str(answer["operation"]).rpartition("/")[2].partition("?")[0]


def _session(address: Address) -> requests.Session:
    """Return a session that knows nothing of the person's environment.

    Variables such as REQUESTS_CA_BUNDLE would go before the pinned certificate.
    """
    from pylxd.client import get_session_for_url
    from requests.adapters import HTTPAdapter

    if not address.remote:
        url = "http+unix://"
        session: requests.Session = get_session_for_url(url)
    else:
        pin, own = address.pin, (address.cert, address.key)

        class Pinned(HTTPAdapter):
            """Knows the server by its certificate, whoever signed that."""

            def cert_verify(self, conn: Any, url: Any, _: Any, cert: Any) -> None:  # noqa: ANN401
                super().cert_verify(conn, url, False, cert)
                conn.assert_fingerprint = pin

        session = get_session_for_url(address.endpoint, verify=False, cert=own)
        session.mount(address.endpoint, Pinned())
    session.trust_env = False
    return session


_contexts: dict[tuple[str, str], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


def _context(address: Address) -> ssl.SSLContext:
    """Return a context with our certificate; the server's is compared by its digest afterwards."""
    with _contexts_lock:
        known = _contexts.get((address.cert, address.key))
        if known is None:
            known = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            known.check_hostname = False
            known.verify_mode = ssl.CERT_NONE
            known.load_cert_chain(address.cert, address.key)
            _contexts[address.cert, address.key] = known
    return known


def _innermost(error: BaseException) -> str:
    """Return the text that says most: libraries wrap the kernel's answer several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
