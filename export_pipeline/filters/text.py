"""Filters in one line of text, for the command line: ``status = failed and not (cost > 2 or host is null)``."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.filters.compose import read_filter
from export_pipeline.filters.operators import OPERATORS, SPELLINGS, Operator
from export_pipeline.filters.tree import AnyFilter

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<sign>>=|<=|!=|<>|==|=~|[=<>~()\[\],])
      | (?P<word>[^\s()\[\],"'=<>!~]+)
    )""",
    re.VERBOSE,
)
_CURE = 'write it like: status = failed and duration_ms > 250, or: name contains "a b" or host is null'
_LONGEST = 3
"""The most words that an operator has: ``is not null``."""


class _Token(NamedTuple):
    text: str
    quoted: bool

    def means(self, *words: str) -> bool:
        return not self.quoted and self.text.lower() in words


def parse_text(text: str) -> AnyFilter:
    """Return the filter that a line of text describes.

    A comparison is a column, an operator (any spelling of `OPERATORS`, with spaces or underscores) and a value; several
    are joined with and, or, not and parentheses. Text with spaces is put in quotes. Values stay text here; binding
    gives them the column's type.

    Raises:
        ConfigError: The text cannot be read; the message says where.

    >>> parse_text("status in failed, timeout and not agent = a1").sentence()
    'status is failed or timeout and not (agent is a1)'
    """
    return read_filter(_Reader(text).whole())


class _Reader:
    """Reads tokens from left to right; `and` binds closer than `or`."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at, position = text, list[_Token](), 0, 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise self.error(f"at {text[position:].strip()!r}")
            quoted = found["quoted"]
            plain = re.sub(r"\\(.)", r"\1", quoted[1:-1]) if quoted else found["sign"] or found["word"]
            self.tokens.append(_Token(plain, quoted is not None))
            position = found.end()

    def error(self, why: str) -> ConfigError:
        return ConfigError(f"the filter {self.text!r} cannot be read {why}", cure=_CURE)

    def next_is(self, *words: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].means(*words)

    def take(self, what: str) -> _Token:
        if self.at == len(self.tokens):
            raise self.error(f"at its end: {what} is missing")
        self.at += 1
        return self.tokens[self.at - 1]

    def skip(self, *words: str) -> bool:
        found = self.next_is(*words)
        self.at += found
        return found

    def whole(self) -> Any:
        found = self.joined("or")
        if self.at < len(self.tokens):
            raise self.error(f"at {self.tokens[self.at].text!r}; text with spaces is put in quotes")
        return found

    def joined(self, word: str) -> Any:
        def part() -> Any:
            return self.joined("and") if word == "or" else self.one()

        parts = [part()]
        while self.skip(word):
            parts.append(part())
        return {word: parts} if len(parts) > 1 else parts[0]

    def one(self) -> Any:
        if self.skip("not"):
            return {"not": self.one()}
        if self.skip("("):
            inner = self.joined("or")
            if not self.skip(")"):
                raise self.error("to its end: a parenthesis is not closed")
            return inner
        return self.comparison()

    def comparison(self) -> Any:
        field = self.take("a column").text
        operator = self.operator(field)
        return {"where": {"field": field, "operator": operator.key, "value": self.value(operator)}}

    def operator(self, field: str) -> Operator:
        first = self.take(f"an operator after {field!r}").text
        self.at -= 1
        for count in range(min(_LONGEST, len(self.tokens) - self.at), 0, -1):
            words = self.tokens[self.at : self.at + count]
            key = SPELLINGS.get("_".join(token.text for token in words).lower())
            if key is not None and not any(token.quoted for token in words):
                self.at += count
                return OPERATORS[key]
        raise self.error(f"at {first!r}: it is no operator ({did_you_mean(first, OPERATORS)})")

    def value(self, operator: Operator) -> Any:
        if operator.takes == "nothing":
            return None
        if operator.takes == "two":
            low = self.take("the lower value").text
            if not self.skip("and", ","):
                raise self.error(f"after {low!r}: {operator.key} takes two values, joined with and")
            return [low, self.take("the higher value").text]
        if operator.takes != "many":
            return self.take(f"a value after {operator.key}").text
        closing = {"(": ")", "[": "]"}.get(self.tokens[self.at].text, "") if self.next_is("(", "[") else ""
        self.at += bool(closing)
        values = [self.take("a value").text]
        while self.skip(","):
            values.append(self.take("a value").text)
        if closing and not self.skip(closing):
            raise self.error("to its end: a list is not closed")
        return values
