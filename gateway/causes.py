"""What went wrong on the way to somebody, in words for who can mend it: of connections and TLS, whatever is spoken over them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

_TLS_HINTS = {
    "certificate required": "; it wants a certificate of ours: set tls.client_cert",
    "unknown ca": "; it does not know the authority that signed our tls.client_cert",
}
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})  # OpenSSL's X509_V_ERR_…: self-signed, or signed by nobody we know
_WITHOUT_TLS = {"https": "http", "smtps": "smtp", "syslog+tls": "syslog+tcp", "nats+tls": "nats", "kafka+tls": "kafka"}


def explained(error: BaseException, kind: str, scheme: str = "https") -> str:
    """Why it failed, in words that name no more than a host. `kind`: what that was, if it was not TLS: `no connection`."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = "; name the authority that signed it in tls.ca_file" if cause.verify_code in _UNKNOWN_AUTHORITY else ""
            return f"its certificate is not accepted: {cause.verify_message}{hint}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            said = cause.reason.replace("_", " ").lower()
            return f"the TLS handshake failed: {said}{_tls_hint(said, scheme)}"
    code = next((cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno), None)
    said = os.strerror(code).lower() if code and code > 0 else str(error)
    return kind + (f": {said[:200]}" if said and "://" not in said else "")


def _tls_hint(said: str, scheme: str) -> str:
    if "wrong version number" in said and scheme in _WITHOUT_TLS:
        return f"; is it {_WITHOUT_TLS[scheme]} rather than {scheme}?"
    return next((hint for key, hint in _TLS_HINTS.items() if key in said), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
