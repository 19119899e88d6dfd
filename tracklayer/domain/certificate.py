"""What is wrong with a server's certificate, in words for who can mend it."""

from __future__ import annotations

_UNKNOWN = "comes from an issuer that is not trusted here"
# X509_V_ERR_... of OpenSSL: docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error, read 2026-11-30.
_WORDS = {
    9: "is not valid yet: a clock is wrong, there or here",
    10: "has expired",
    18: "is self-signed, and not trusted here",
    19: _UNKNOWN,
    20: f"{_UNKNOWN}, or the server leaves out the one in between",
    21: f"{_UNKNOWN}, or the server leaves out the one in between",
    62: "is not valid for this name",
    64: "is not valid for this address",
}


def wrong_with_certificate(verify_code: int) -> str:
    """To stand behind "its certificate". ``verify_code``: as TLS has it. Quotes nothing of the certificate."""
    return _WORDS.get(verify_code, "is not valid")
