"""Filters of the EC2 Describe calls.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html: values are case-sensitive, several values are
joined with OR and several filters with AND, ``*`` stands for any characters, ``?`` for one, a backslash escapes them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from moto.ec2.exceptions import EC2ClientError


@lru_cache(maxsize=4096)
def pattern(value: str) -> re.Pattern[str]:
    """The regular expression for one filter value."""
    parts = re.findall(r"\\.|[*?]|[^\\*?]+|\\", value, flags=re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wild.get(p) or re.escape(p[1:] if len(p) > 1 and p[0] == "\\" else p) for p in parts), re.DOTALL
    )


def text(value: object) -> str:
    """A field's value as EC2 writes it in a filter."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def matches(
    filters: Mapping[str, list[str]], tags: Mapping[str, str], fields: Mapping[str, Callable[[], Iterable[object]]]
) -> bool:
    """Whether one resource passes every filter. Raises InvalidParameterValue for a filter that EC2 does not have."""
    for name, wanted in filters.items():
        if name.startswith("tag:"):
            values: Iterable[object] = [tags[name[4:]]] if name[4:] in tags else []
        elif name == "tag-key":
            values = tags.keys()
        elif name == "tag-value":
            values = tags.values()
        elif name in fields:
            values = fields[name]()
        else:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        found = [text(value) for value in values if value is not None]
        if not any(pattern(want).fullmatch(value) for want in wanted for value in found):
            return False
    return True
