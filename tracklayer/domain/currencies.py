"""Currencies, by their codes of ISO 4217."""

from __future__ import annotations

# Digits after the point of those that do not have two.
_DECIMALS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


def decimals(currency: str | None) -> int:
    """Digits after the point."""
    return _DECIMALS.get(currency or "", 2)
