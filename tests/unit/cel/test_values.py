"""What expressions yield, and how they fail."""

from __future__ import annotations

from typing import Any

import pytest

from kubeinstall.api.cel import (
    Budget,
    CompileError,
    CostExceeded,
    EvalError,
    compile_expression,
    type_of_schema,
)
from kubeinstall.api.cel.types import DYN

OBJECT = {
    "n": 3, "name": "web", "items": [{"a": 1}, {"a": 2}], "labels": {"x": "1", "y": "2"}, "none": None,
}  # fmt: skip

TRUE = [
    "1 + 2 * 3 == 7",
    "7 / -2 == -3",
    "-7 % 3 == -1",
    "0x1F == 31",
    "1u + 2u == 3u",
    "1.5 < 2",
    "1 < 1.5 && 2u > 1",
    "'a' + \"b\" == 'ab'",
    "r'\\n' == '\\\\n'",
    "'''a\nb''' == 'a\\nb'",
    "b'abc' == bytes('abc')",
    "'\\u00e9' == 'é'",
    "size('é') == 1",
    "[1, 2, 3].size() == 3",
    "2 in [1, 2]",
    "'x' in o.labels",
    "!('z' in o.labels)",
    "{'a': 1}.a == 1",
    "{'a': 1, 'b': 2}['b'] == 2",
    "[1, 2][1] == 2",
    "has(o.name) && !has(o.missing)",
    "o.items.all(i, i.a > 0)",
    "o.items.exists(i, i.a == 2)",
    "o.items.exists_one(i, i.a == 2)",
    "o.items.map(i, i.a) == [1, 2]",
    "o.items.map(i, i.a > 1, i.a) == [2]",
    "o.items.filter(i, i.a > 1).size() == 1",
    "o.labels.all(k, k in ['x', 'y'])",
    "[1, 2].all(i, v, v == i + 1)",
    "{'a': 1}.exists(k, v, k == 'a' && v == 1)",
    "[1, 2].transformList(i, v, i + v) == [1, 3]",
    "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
    "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}",
    "true ? 1 == 1 : false",
    "false && o.missing.x || true",
    "o.missing.x == 1 || true",
    "!(o.missing.x == 1 && false)",
    "o.?missing.orValue(5) == 5",
    "o.?n.orValue(5) == 3",
    "o.?missing.?deeper.hasValue() == false",
    "[1][?3].orValue(7) == 7",
    "optional.of(1).value() == 1",
    "!optional.none().hasValue()",
    "[?o.?missing, 1] == [1]",
    "{?'k': o.?missing}.size() == 0",
    "o.?n.optMap(v, v + 1).value() == 4",
    "type(1) == int",
    "type('a') == string",
    "int('12') == 12",
    "double('1.5') == 1.5",
    "string(1.0) == '1'",
    "uint(3) == 3u",
    "duration('1h30m') == duration('90m')",
    "timestamp('2020-01-01T00:00:00Z') + duration('1s') > timestamp('2020-01-01T00:00:00Z')",
    "timestamp('2020-02-03T04:05:06Z').getMonth() == 1",
    "timestamp('2020-02-03T04:05:06Z').getHours('+02:00') == 6",
    "duration('90s').getMinutes() == 1",
    "'abc'.matches('^a.c$')",
    "matches('abc', 'b')",
    "'a,b'.split(',') == ['a', 'b']",
    "['a', 'b'].join('-') == 'a-b'",
    "'hello'.substring(1, 3) == 'el'",
    "'Ab'.lowerAscii() == 'ab'",
    "' a '.trim() == 'a'",
    "'aXbX'.replace('X', '', 1) == 'abX'",
    "'abc'.indexOf('c') == 2",
    "'abc'.charAt(1) == 'b'",
    "[1, 2, 3].isSorted()",
    "[1, 2].sum() == 3",
    "[3, 1].min() == 1",
    "[3, 1].max() == 3",
    "['a', 'b'].indexOf('b') == 1",
    "'a1b22'.find('[0-9]+') == '1'",
    "'a1b22'.findAll('[0-9]+') == ['1', '22']",
    "url('https://a.b:8/p?q=1').getHost() == 'a.b:8'",
    "isURL('https://x') && !isURL('../x')",
    "quantity('1Gi').isGreaterThan(quantity('1G'))",
    "quantity('500m').add(quantity('500m')).asInteger() == 1",
    "ip('10.0.0.1').family() == 4",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "isIP('::1') && !isIP('x')",
    "sets.contains([1, 2], [1])",
    "sets.intersects([1], [1, 2])",
    "sets.equivalent([1, 1], [1])",
    "'%s-%d'.format(['a', 3]) == 'a-3'",
    "'%.2f'.format([1.5]) == '1.50'",
    "semver('1.2.3').isLessThan(semver('1.10.0'))",
    "semver('v1.2', true).minor() == 2",
    "!format.dns1123Label().validate('ok').hasValue()",
    "format.dns1123Label().validate('No!').hasValue()",
    "'\\u270c'.size() == 1",
    "o.none == null",
    "1 != 2 && !(1 == 2)",
    "dyn(1) == 1.0",
    "dyn('1') != 1",
    "--1 == 1",
    "!!true",
    "[1, 2, 1].distinct() == [1, 2]",
    "[[1], [2]].flatten() == [1, 2]",
    "[2, 1].sort() == [1, 2]",
    "lists.range(2) == [0, 1]",
]


def run(source: str, **values: Any) -> Any:
    values = values or {"o": OBJECT}
    return compile_expression(source, dict.fromkeys(values, DYN)).evaluate(values)


@pytest.mark.parametrize("source", TRUE)
def test_true(source: str) -> None:
    assert run(source) is True


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "division by zero"),
        ("o.missing", "no such key: missing"),
        ("[1][5]", "index out of bounds: 5"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("o.n + o.name", "no such overload"),
        ("optional.none().value()", "optional.none() dereference"),
        ("[1, 2].all(x, o.missing == x)", "no such key: missing"),
    ],
)
def test_errors(source: str, message: str) -> None:
    with pytest.raises(EvalError, match=message.replace("(", r"\(").replace(")", r"\)")):
        run(source)


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "s": {"type": "string"},
        "x": {"type": "number"},
        "when": {"type": "string", "format": "date-time"},
        "list": {"type": "array", "items": {"type": "string"}},
        "a-b": {"type": "integer"},
        "namespace": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "self.nope > 0",
            "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope > 0\n | ....^",
        ),
        (
            "other == 1",
            "ERROR: <input>:1:1: undeclared reference to 'other' (in container '')\n | other == 1\n | ^",
        ),
        (
            "self.n + self.s == 1",
            (
                "ERROR: <input>:1:8: found no matching overload for '_+_' applied to '(int, string)'\n"
                " | self.n + self.s == 1\n | .......^"
            ),
        ),
        (
            "self.s.startsWith(1)",
            (
                "ERROR: <input>:1:18: found no matching overload for 'startsWith' applied to"
                " 'string.(int)'\n | self.s.startsWith(1)\n | .................^"
            ),
        ),
        (
            "self.n.all(x, true)",
            (
                "ERROR: <input>:1:5: expression of type 'int' cannot be range of a comprehension (must be"
                " list, map, or dynamic)\n | self.n.all(x, true)\n | ....^"
            ),
        ),
    ],
)
def test_mistakes_are_told_as_upstream_tells_them(source: str, text: str) -> None:
    found = type_of_schema(SCHEMA)
    assert found is not None
    with pytest.raises(CompileError) as caught:
        compile_expression(source, {"self": found})
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "source",
    [
        "self.x == 2.0",
        "self.x / 4.0 == 0.5",
        "self.when < timestamp('2021-01-01T00:00:00Z')",
        "self.list.all(x, x.size() == 1)",
        "self.a__dash__b == 1",
        "self.__namespace__ == 'z'",
    ],
)
def test_values_of_schemas(source: str) -> None:
    found = type_of_schema(SCHEMA)
    assert found is not None
    value = {
        "x": 2,
        "when": "2020-01-01T00:00:00Z",
        "list": ["a"],
        "a-b": 1,
        "namespace": "z",
    }
    assert compile_expression(source, {"self": found}).evaluate({"self": value}) is True


def test_bad_syntax() -> None:
    for source in (
        "1 +",
        "a b",
        "[1",
        "... [] bad expression",
        "has(1)",
        "'open",
        "x.map(1, 2)",
        "",
    ):
        with pytest.raises(CompileError):
            compile_expression(source, {"a": DYN, "x": DYN})


def test_cost_is_bounded() -> None:
    loop = "l.all(a, l.all(b, l.all(c, a + b + c >= 0)))"
    program = compile_expression(loop, {"l": DYN})
    with pytest.raises(CostExceeded):
        program.evaluate({"l": list(range(200))})
    budget = Budget(50)
    with pytest.raises(CostExceeded):
        compile_expression("l.all(a, a >= 0)", {"l": DYN}).evaluate({"l": list(range(200))}, budget)
    assert budget.left <= 0
