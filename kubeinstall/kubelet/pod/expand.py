"""`$(VAR)` in commands, arguments, environment and subPathExpr, by upstream's rules.

$(NAME) → its value; $(UNKNOWN) stays; $$(NAME) → $(NAME)
"""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace every known reference."""
    if "$" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character != "$" or position + 1 >= len(text):
            out.append(character)
            position += 1
            continue
        following = text[position + 1]
        if following == "$":
            out.append("$")
            position += 2
        elif following == "(":
            end = text.find(")", position + 2)
            if end < 0:
                out.append("$(")
                position += 2
                continue
            name = text[position + 2 : end]
            out.append(variables.get(name, f"$({name})"))
            position = end + 1
        else:
            out.append(f"${following}")
            position += 2
    return "".join(out)


def expand_strict(text: str, variables: Mapping[str, str]) -> str:
    """As `expand`, but an unknown name is a KeyError: subPathExpr must not guess."""
    missing: list[str] = []

    class _Watching(dict[str, str]):
        def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]  # narrower on purpose
            if key not in variables:
                missing.append(key)
            return variables.get(key, default or "")

    result = expand(text, _Watching())
    if missing:
        raise KeyError(missing[0])
    return result
