"""What a process remembers of the words that it counts by: bounded, in memory, and of no other process."""

from __future__ import annotations

import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tracklayer.domain.facts import OTHERS

Key = TypeVar("Key", bound=Hashable)
TIMES = 2  # that a word came before it is counted by itself beside many

# What is counted by itself is read in alerts, mails and chats: words of any language, and no sentence, link, address or
# number of a person.
_PLAIN = re.compile(r"(?!.*//)(?!.*\d{7})[\w .,:;/()&'#+-]{0,64}\Z")


class Vocabulary:
    """The words of each merchant that are counted by themselves: the first ``most``, until one is not seen for a day.

    A word may also be several that are counted together (``has``).

    Of the first ``free`` each counts at once; beyond that one that came ``TIMES`` before. So whoever sends a new word with
    every event makes rows of one word, ``OTHERS``, and not rows without end, and keeps no real word out; what is no
    plain word is ``OTHERS``, too. Of one process, in memory: another one may know other words.
    """

    def __init__(self, most: int, free: int | None = None) -> None:
        self._most, self._free = most, most if free is None else free
        self._lock = threading.Lock()  # long calls are judged in threads; a word that is known needs none
        self._tried: dict[
            int, OrderedDict[Hashable, int]
        ] = {}  # merchant -> word -> how often it came, of the newest words
        self._words: dict[int, dict[Hashable, int]] = {}  # merchant -> word -> the hour in which it was last seen

    def known(self, merchant_id: int, word: str, hour: int) -> str:
        """The word, or ``OTHERS``. ``hour``: that runs, counted from anywhere."""
        words = self._words.get(merchant_id)
        if words is not None and word in words:
            words[word] = hour
            return word
        return word if _PLAIN.match(word) and self.has(merchant_id, word, hour) else OTHERS

    def has(self, merchant_id: int, word: Hashable, hour: int) -> bool:
        """Whether it is counted by itself, as ``known``; of what is plain already."""
        words = self._words.get(merchant_id)
        if words is None or word not in words:
            with self._lock:
                return self._learn(merchant_id, word, hour)
        words[word] = hour
        return True

    def _learn(self, merchant_id: int, word: Hashable, hour: int) -> bool:
        words = self._words.setdefault(merchant_id, {})
        if len(words) >= self._most:
            words = self._words[merchant_id] = {known: seen for known, seen in list(words.items()) if seen > hour - 24}
            if len(words) >= self._most:
                return False
        if len(words) >= self._free and not self._has_come_before(merchant_id, word):
            return False
        words[word] = hour
        return True

    def _has_come_before(self, merchant_id: int, word: Hashable) -> bool:
        tried = self._tried.setdefault(merchant_id, OrderedDict())
        times = tried.pop(word, 0)
        if times >= TIMES:
            return True
        tried[word] = times + 1
        if len(tried) > self._most:
            tried.popitem(last=False)
        return False


class Lately(Generic[Key]):
    """Which keys of a merchant were seen in this hour or the one before, of one process, in memory.

    Of one merchant the newest ``of_one``, and ``most`` of all: then those of whoever came longest ago are forgotten. So one
    who sends many keys makes nobody else's be forgotten.
    """

    def __init__(self, most: int, of_one: int | None = None) -> None:
        self._most, self._of_one = most, most if of_one is None else of_one
        self._lock = threading.Lock()
        self._hours: OrderedDict[int, OrderedDict[Key, int]] = OrderedDict()
        self._count = 0

    def is_new(self, merchant_id: int, key: Key, hour: int) -> bool:
        """Whether a key is seen for the first time; it is not from now on. ``hour``: that runs, counted from anywhere."""
        with self._lock:
            own = self._hours.setdefault(merchant_id, OrderedDict())
            self._hours.move_to_end(merchant_id)
            seen = own.get(key)
            if seen is not None and seen >= hour - 1:
                return False
            own[key] = hour
            own.move_to_end(key)
            self._count += seen is None
            if len(own) > self._of_one:
                own.popitem(last=False)
                self._count -= 1
            while self._count > self._most:
                self._count -= len(self._hours.popitem(last=False)[1])
            return True


Refusal = tuple[str, str, str]  # event name, code, field


class Refusals:
    """What refused events are counted by: so that a key that sends every name with every fault makes no more rows a minute.

    Of one process and merchant: ``most`` of name, code and field together, then ``causes`` of code and field of other names,
    then each code by itself (there are few). Each event is counted under one of them.
    """

    def __init__(self, most: int = 100, causes: int = 40, free: int = 20) -> None:
        self._names, self._fields = Vocabulary(50, free=10), Vocabulary(50)
        self._all, self._causes = Vocabulary(most, free=free), Vocabulary(causes, free=free)

    def counted_as(self, merchant_id: int, refusal: Refusal, hour: int) -> Refusal:
        """``hour``: that runs, counted from anywhere."""
        name = self._names.known(merchant_id, refusal[0], hour)
        code, where = refusal[1], self._fields.known(merchant_id, refusal[2], hour)
        if name != OTHERS and self._all.has(merchant_id, (name, code, where), hour):
            return name, code, where
        if where == OTHERS or self._causes.has(merchant_id, (code, where), hour):
            return OTHERS, code, where
        return OTHERS, code, OTHERS


# merchant id, minute since 1970, code, what stands in a field's place; without a code: one that was refused before.
Turned = tuple[int, int, str | None, str | None]
Unsure = tuple[int, dict[Turned, int]]  # the transaction, and what was counted in it
NAMED_KEYS = 20
MOST_AT_ONCE = 1_000_000  # events of one cause that are written at once: honest requests bring fewer in seconds


class TurnedAway:
    """Events that were refused with their whole requests, of one process: counted here until somebody writes them down.

    So a flood of them makes a row a minute and cause. Any thread may add. Of one merchant ``of_one`` causes are kept, and
    beyond ``most`` of all only ``always``: further ones are left out. So one who has many leaves out nobody else's.
    """

    def __init__(self, most: int = 5_000, of_one: int = 1_000, always: int = 50) -> None:
        self._most, self._of_one, self._always = most, of_one, always
        self._causes: Counter[int] = Counter()  # merchant -> how many of them
        self._named: OrderedDict[int, tuple[int, set[int]]] = OrderedDict()  # merchant -> minute, keys told by name
        self._lock = threading.Lock()
        self._counts: dict[Turned, int] = {}
        self._unsure: list[Unsure] = []
        self._revoked: OrderedDict[bytes, tuple[int, int, bool]] = OrderedDict()
        self._revoked_of: dict[int, OrderedDict[bytes, None]] = {}

    def add(self, turned: Turned, count: int) -> None:
        with self._lock:
            if turned not in self._counts:
                causes = self._causes[turned[0]]
                if causes >= (self._of_one if len(self._counts) < self._most else self._always):
                    return
                self._causes[turned[0]] += 1
                self._counts[turned] = min(count, MOST_AT_ONCE)
            else:
                self._counts[turned] = min(self._counts[turned] + count, MOST_AT_ONCE)

    @property
    def has_any(self) -> bool:
        return bool(self._counts or self._unsure)

    def take(self) -> dict[Turned, int]:
        """What was added since the last time, which the caller writes down, or gives back."""
        if not self._counts:
            return {}
        with self._lock:
            taken, self._counts = self._counts, {}
            self._causes.clear()
        return taken

    def give_back(self, taken: dict[Turned, int]) -> None:
        for turned, count in taken.items():
            self.add(turned, count)

    def keep_unsure(self, written: Unsure) -> None:
        """What was written in a transaction of which nobody knows whether it was committed."""
        with self._lock:
            self._unsure.append(written)

    def take_unsure(self) -> list[Unsure]:
        with self._lock:
            taken, self._unsure = self._unsure, []
        return taken

    def keep_revoked(self, key_hash: bytes, merchant_id: int, key_id: int, *, may_send: bool) -> None:
        """Remembers whose a revoked key was; of the newest, as many as causes, of one merchant too."""
        with self._lock:
            self._revoked[key_hash] = merchant_id, key_id, may_send
            own = self._revoked_of.setdefault(merchant_id, OrderedDict())
            own[key_hash] = None
            if len(own) > self._of_one:
                del self._revoked[own.popitem(last=False)[0]]
            if len(self._revoked) > self._most:
                oldest, (whose, _, _) = self._revoked.popitem(last=False)
                del self._revoked_of[whose][oldest]

    def is_named(self, merchant_id: int, minute: int, key_id: int) -> bool:
        """Whether a revoked key is told of by itself: of one merchant the first ``NAMED_KEYS`` that come in a minute are."""
        with self._lock:
            begun, named = self._named.get(merchant_id, (minute, set()))
            if begun != minute:
                named = set()
            self._named[merchant_id] = minute, named
            self._named.move_to_end(merchant_id)
            if len(self._named) > self._most:
                self._named.popitem(last=False)
            if len(named) < NAMED_KEYS:
                named.add(key_id)
            return key_id in named

    def revoked(self, key_hash: bytes) -> tuple[int, int, bool] | None:
        """(merchant id, key id, whether it had the scope INGEST) of a revoked key that came before."""
        return self._revoked.get(key_hash)


@dataclass(slots=True)
class Counting:
    """What a process remembers of what it counts."""

    names: Vocabulary = field(default_factory=lambda: Vocabulary(100, free=30))
    hosts: Vocabulary = field(default_factory=lambda: Vocabulary(20, free=5))
    refusals: Refusals = field(default_factory=Refusals)
    turned_away: TurnedAway = field(default_factory=TurnedAway)
    refused_sales: Vocabulary = field(default_factory=lambda: Vocabulary(40, free=10))  # name and currency
    refused_ids: Lately[str] = field(default_factory=lambda: Lately(50_000, of_one=10_000))  # event ids
