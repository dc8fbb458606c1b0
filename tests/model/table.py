"""A table of resources that remembers its recent past, so that a read can lag behind the writes.

Records are immutable: a write puts a new version in front of the older ones. Copying a table copies one dict.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from re import Pattern, escape
from re import compile as compile_pattern
from typing import Generic, NamedTuple, Protocol, TypeVar

MEMORY_SECONDS = 300.0
"""How far back a lagging read can see."""

SMALL = 48
"""Up to this many rows, looking at each is quicker than keeping an index."""


class Resource(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


R = TypeVar("R", bound=Resource)
Values = Callable[[R], Collection[str]]
Filter = tuple[str, frozenset[str], tuple[Pattern[str], ...]]
"""Name, exact values, patterns."""


class Version(NamedTuple, Generic[R]):
    since: float
    record: R | None  # None: gone
    before: "Version[R] | None"


class Table(Generic[R]):
    """Rows by id. `values` says, for every filter name, what a record answers to it."""

    __slots__ = ("_indexes", "_values", "rows")

    def __init__(self, values: Mapping[str, Values[R]]) -> None:
        self.rows: dict[str, Version[R]] = {}
        self._values = values
        self._indexes: dict[str, dict[str, dict[str, None]]] = {}

    def clone(self) -> "Table[R]":
        other: Table[R] = Table.__new__(Table)
        other.rows = self.rows.copy()
        other._values = self._values
        other._indexes = {}  # built again when wanted: a clone of a small world never wants one
        return other

    def get(self, resource_id: str) -> R | None:
        version = self.rows.get(resource_id)
        return version.record if version is not None else None

    def put(self, record: R, now: float) -> None:
        self._push(record.id, record, now)
        if self._indexes:
            self._index(record)

    def drop(self, resource_id: str, now: float) -> None:
        """Gone from now on; a lagging read still sees it. `forget` clears the memory."""
        self._push(resource_id, None, now)

    def forget(self, resource_id: str) -> None:
        version = self.rows.get(resource_id)
        if version is not None and version.record is None:
            del self.rows[resource_id]

    def current(self) -> Iterable[R]:
        return [version.record for version in self.rows.values() if version.record is not None]

    def _push(self, resource_id: str, record: R | None, now: float) -> None:
        before = self.rows.get(resource_id)
        if before is not None and before.before is not None and before.since <= now - MEMORY_SECONDS:
            before = Version(before.since, before.record, None)
        self.rows[resource_id] = Version(now, record, before)

    def candidates(self, filters: list[Filter]) -> Iterable[str]:
        """Ids of every row that may match, now or in the remembered past: all of them, or those that an index names."""
        if len(self.rows) <= SMALL or not filters:
            return list(self.rows)
        best: list[dict[str, None]] | None = None
        for name, exact, patterns in filters:
            index_name, keys = name, exact
            if patterns:
                if not name.startswith("tag:"):
                    continue
                index_name, keys = "tag-key", frozenset([name[4:]])
            index = self._indexes.get(index_name)
            if index is None:
                index = self._build(index_name)
            found = [index[key] for key in keys if key in index]
            if best is None or sum(map(len, found)) < sum(map(len, best)):
                best = found
        if best is None:
            return list(self.rows)
        return sorted({row_id for ids in best for row_id in ids if row_id in self.rows})

    def _build(self, name: str) -> dict[str, dict[str, None]]:
        index = self._indexes[name] = {}
        values = self.values(name)
        for row_id, row in self.rows.items():
            version: Version[R] | None = row
            while version is not None:
                if version.record is not None:
                    for value in values(version.record):
                        index.setdefault(value, {})[row_id] = None
                version = version.before
        return index

    def _index(self, record: R) -> None:
        """Entries are only added: a lagging read may still need the older ones, and `matches` has the last word."""
        for name, index in self._indexes.items():
            for value in self.values(name)(record):
                index.setdefault(value, {})[record.id] = None

    def values(self, name: str) -> Values[R]:
        if name.startswith("tag:"):
            return _tag(name[4:])
        if name == "tag-key":
            return lambda record: record.tags.keys()
        return self._values[name]

    def knows(self, name: str) -> bool:
        return name.startswith("tag:") or name == "tag-key" or name in self._values

    def matcher(self, filters: list[Filter]) -> Callable[[R], bool]:
        tests = [(self.values(name), exact, patterns) for name, exact, patterns in filters]

        def matches(record: R) -> bool:
            for values, exact, patterns in tests:
                answers = values(record)
                if exact and not exact.isdisjoint(answers):
                    continue
                if not patterns or not any(p.fullmatch(answer) for p in patterns for answer in answers):
                    return False
            return True

        return matches


def at(version: Version[R] | None, moment: float) -> R | None:
    """The record as it was at that moment; None if it was not there yet, or no more."""
    while version is not None:
        if version.since <= moment:
            return version.record
        version = version.before
    return None


def last_at(version: Version[R] | None, moment: float) -> R | None:
    """The same, but for one that was no more: as it was last."""
    while version is not None:
        if version.since <= moment and version.record is not None:
            return version.record
        version = version.before
    return None


@lru_cache(maxsize=1_000)
def _tag(key: str) -> Values[Resource]:
    return lambda record: (record.tags[key],) if key in record.tags else ()


@lru_cache(maxsize=10_000)
def make_filter(name: str, values: tuple[str, ...]) -> Filter:
    exact, patterns = [], []
    for value in values:
        if "*" in value or "?" in value or "\\" in value:
            patterns.append(wildcard(value))
        else:
            exact.append(value)
    return name, frozenset(exact), tuple(patterns)


@lru_cache(maxsize=10_000)
def wildcard(text: str) -> Pattern[str]:
    """EC2's wildcards: * any characters, ? one character, a backslash before either takes it literally."""
    out, literal = [], False
    for character in text:
        if literal or character not in "*?\\":
            out.append(escape(character))
            literal = False
        elif character == "\\":
            literal = True
        else:
            out.append(".*" if character == "*" else ".")
    return compile_pattern("(?s)" + "".join(out))
