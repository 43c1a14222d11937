"""From source to syntax tree, macros included (grammar: cel-spec `langdef.md`)."""

from __future__ import annotations

from kubeinstall.api.cel.ast import Call, Const, Ident, ListNode, Loop, MapNode, Node, Select
from kubeinstall.api.cel.errors import CompileError, Issue
from kubeinstall.api.cel.lexer import RESERVED, Token, tokens

_DEPTH = 250  # cel-go's recursion limit
_RELATIONS = ("<", "<=", ">=", ">", "==", "!=", "in")
#: macro → counts of arguments, the range apart
_ONE = {
    "all": (2,),
    "exists": (2,),
    "exists_one": (2,),
    "existsOne": (2,),
    "map": (2, 3),
    "filter": (2,),
}
_TWO = {
    "all": (3,),
    "exists": (3,),
    "existsOne": (3,),
    "exists_one": (3,),
    "transformList": (3, 4),
    "transformMap": (3, 4),
    "transformMapEntry": (3, 4),
}
_OPTIONAL = {"optMap": (2,), "optFlatMap": (2,)}


def parse(source: str) -> Node:
    """The tree. Raises `CompileError`."""
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._expr()
        if self._peek.kind != "end":
            raise self._unexpected("<EOF>")
        return node

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._peek
        return token.kind == text or (text == "in" and token.kind == "ident" and token.text == "in")

    def _accept(self, text: str) -> Token | None:
        return self._next() if self._is(text) else None

    def _expect(self, text: str) -> Token:
        if self._peek.kind != text:
            raise self._unexpected(f"'{text}'")
        return self._next()

    def _fail(self, pos: int, message: str) -> CompileError:
        return CompileError(self._source, [Issue(pos, message)])

    def _unexpected(self, wanted: str) -> CompileError:
        token = self._peek
        return self._fail(
            token.pos, f"Syntax error: mismatched input '{token.text}' expecting {wanted}"
        )

    def _expr(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._fail(
                -1 if not self._source else 0, f"expression recursion limit exceeded: {_DEPTH}"
            )
        node = self._or()
        question = self._accept("?")
        if question is not None:
            then = self._or()
            self._expect(":")
            node = Call(question.pos, "_?_:_", None, [node, then, self._expr()])
        self._depth -= 1
        return node

    def _or(self) -> Node:
        node = self._and()
        while (token := self._accept("||")) is not None:
            node = Call(token.pos, "_||_", None, [node, self._and()])
        return node

    def _and(self) -> Node:
        node = self._relation()
        while (token := self._accept("&&")) is not None:
            node = Call(token.pos, "_&&_", None, [node, self._relation()])
        return node

    def _relation(self) -> Node:
        node = self._sum()
        while any(self._is(one) for one in _RELATIONS):
            token = self._next()
            name = "@in" if token.text == "in" else f"_{token.text}_"
            node = Call(token.pos, name, None, [node, self._sum()])
        return node

    def _sum(self) -> Node:
        node = self._product()
        while self._peek.kind in ("+", "-"):
            token = self._next()
            node = Call(token.pos, f"_{token.text}_", None, [node, self._product()])
        return node

    def _product(self) -> Node:
        node = self._unary()
        while self._peek.kind in ("*", "/", "%"):
            token = self._next()
            node = Call(token.pos, f"_{token.text}_", None, [node, self._unary()])
        return node

    def _unary(self) -> Node:
        token = self._peek
        if token.kind not in ("!", "-"):
            return self._member()
        count = 0
        while self._accept(token.kind):
            count += 1
        follows = self._peek
        number = follows.kind == "const" and isinstance(follows.value, int | float)
        if token.kind == "-" and count == 1 and number and type(follows.value) in (int, float):
            self._tokens[self._at] = follows._replace(value=-follows.value, pos=token.pos)
            return self._member()
        if self._peek.kind in ("!", "-"):
            raise self._unexpected("an operand")
        node = self._member()
        if count % 2 == 0:
            return node
        return Call(token.pos, "!_" if token.kind == "!" else "-_", None, [node])

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if dot := self._accept("."):
                node = self._select(node, dot)
            elif bracket := self._accept("["):
                optional = self._accept("?") is not None
                index = self._expr()
                self._expect("]")
                node = Call(bracket.pos, "_[?_]" if optional else "_[_]", None, [node, index])
            else:
                return node

    def _select(self, node: Node, dot: Token) -> Node:
        optional = self._accept("?") is not None
        token = self._next()
        if token.kind not in ("ident", "quoted"):
            self._at -= 1
            raise self._unexpected("IDENTIFIER")
        opened = self._peek
        if optional or token.kind == "quoted" or opened.kind != "(":
            return Select(dot.pos, node, token.text, optional=optional)
        self._next()
        args = self._arguments(")")
        return self._macro(node, token, args, opened) or Call(opened.pos, token.text, node, args)

    def _arguments(self, end: str) -> list[Node]:
        args: list[Node] = []
        while not self._accept(end):
            args.append(self._expr())
            if not self._accept(","):
                self._expect(end)
                break
        return args

    def _macro(self, node: Node, token: Token, args: list[Node], opened: Token) -> Node | None:
        name, count = token.text, len(args)
        if count in _ONE.get(name, ()) or count in _OPTIONAL.get(name, ()):
            two = False
            if count == 3 and name in _TWO and name != "map":
                two = True
        elif count in _TWO.get(name, ()):
            two = True
        else:
            return None
        names = [self._variable(arg) for arg in args[: 2 if two else 1]]
        if two and names[0] == names[1]:
            raise self._fail(args[1].pos, f"duplicate iteration variable name: {names[0]}")
        macro = "existsOne" if name == "exists_one" else name
        return Loop(opened.pos, macro, node, tuple(names), args[len(names) :])

    def _variable(self, node: Node) -> str:
        if not isinstance(node, Ident) or node.name.startswith("."):
            raise self._fail(node.pos, "argument must be a simple name")
        return node.name

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "const":
            if type(token.value) is int and token.value == 1 << 63:
                raise self._fail(token.pos, "invalid int literal")
            return Const(token.pos, token.value)
        if token.kind == "(":
            node = self._expr()
            self._expect(")")
            return node
        if token.kind == "[":
            return self._list(token)
        if token.kind == "{":
            return MapNode(token.pos, self._entries())
        if token.kind == "." and self._peek.kind == "ident":
            return self._name(self._next(), ".")
        if token.kind == "ident":
            return self._name(token, "")
        self._at -= 1
        raise self._unexpected(
            "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT,"
            " STRING, BYTES, IDENTIFIER}"
        )

    def _name(self, token: Token, dot: str) -> Node:
        text = token.text
        if not dot and text in _WORDS:
            return Const(token.pos, _WORDS[text])
        if text in RESERVED or text == "in":
            raise self._fail(token.pos, f"reserved identifier: {text}")
        opened = self._accept("(")
        if opened is not None:
            args = self._arguments(")")
            if text == "has" and not dot and len(args) == 1:
                return self._has(args[0])
            return Call(opened.pos, text, None, args)
        start = self._at
        name = text
        while self._is(".") and self._tokens[self._at + 1].kind == "ident":
            self._at += 1
            name += "." + self._next().text
        if (brace := self._accept("{")) is not None:
            return MapNode(brace.pos, self._fields(), name)
        self._at = start
        return Ident(token.pos, dot + text)

    def _has(self, node: Node) -> Node:
        if not isinstance(node, Select) or node.test:
            raise self._fail(node.pos, "invalid argument to has() macro")
        return Select(node.pos, node.operand, node.name, test=True)

    def _list(self, opened: Token) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while not self._accept("]"):
            if self._accept("?"):
                optional.add(len(items))
            items.append(self._expr())
            if not self._accept(","):
                self._expect("]")
                break
        return ListNode(opened.pos, items, optional)

    def _entries(self) -> list[tuple[Node, Node, bool]]:
        entries: list[tuple[Node, Node, bool]] = []
        while not self._accept("}"):
            optional = self._accept("?") is not None
            key = self._expr()
            self._expect(":")
            entries.append((key, self._expr(), optional))
            if not self._accept(","):
                self._expect("}")
                break
        return entries

    def _fields(self) -> list[tuple[Node, Node, bool]]:
        entries: list[tuple[Node, Node, bool]] = []
        while not self._accept("}"):
            optional = self._accept("?") is not None
            name = self._next()
            if name.kind not in ("ident", "quoted"):
                self._at -= 1
                raise self._unexpected("IDENTIFIER")
            self._expect(":")
            entries.append((Const(name.pos, name.text), self._expr(), optional))
            if not self._accept(","):
                self._expect("}")
                break
        return entries


_WORDS = {"true": True, "false": False, "null": None}
