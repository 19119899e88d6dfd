"""The chances that the monitors judge by."""

from __future__ import annotations

import math

LARGEST_SAMPLE = 500  # beyond it a bigger sample says nothing more: the spread between hours remains


def failures_at_least(
    failures: int, attempts: int, share: float, spread: float, largest: int = LARGEST_SAMPLE
) -> float:
    """The chance of at least so many failures among ``attempts`` where ``share`` of them usually fail.

    ``spread`` is the correlation within one stretch of time, 0 to 1 exclusive: failures come in flocks, so that a
    binomial test would find every flock significant. The beta-binomial distribution has both: the share of a stretch
    is itself drawn from Beta(a, b) with mean ``share`` and a + b = 1 / spread - 1.
    Source: Skellam (1948), "A probability distribution derived from the binomial distribution by regarding the
    probability of success as variable between the sets of trials", J. R. Stat. Soc. B 10.
    """
    if attempts > largest:
        failures, attempts = math.ceil(failures * largest / attempts), largest
    if failures <= 0:
        return 1.0
    total = 1 / spread - 1
    a, b = share * total, (1 - share) * total
    log_beta = _log_beta(a, b)
    chance = 0.0
    for k in range(failures, attempts + 1):
        ways = math.lgamma(attempts + 1) - math.lgamma(k + 1) - math.lgamma(attempts - k + 1)
        term = math.exp(ways + _log_beta(k + a, attempts - k + b) - log_beta)
        chance += term
        if term < chance * 1e-9 and k > attempts * share:
            break
    return min(1.0, chance)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def failures_in_a_row(share: float, chance: float) -> int:
    """How many failures in a row are less likely than ``chance`` where ``share`` (below 1) usually fail."""
    return math.ceil(math.log(chance) / math.log(share))
