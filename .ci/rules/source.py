"""What a rule looks at: a parsed file, who stands above each node, and what it is called there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """A line that breaks a rule. place: the class and function around it, dotted; empty at module level."""

    rule: str
    path: str
    line: int
    place: str = ""

    def __str__(self) -> str:
        where = f" in {self.place}" if self.place else ""
        return f"{self.path}:{self.line}: {self.rule}{where}"


@dataclass(frozen=True)
class Tenants:
    """Names of the models with a column `merchant`, and of those that hang on one of them."""

    owned: frozenset[str] = frozenset()
    hanging: frozenset[str] = frozenset({"Merchant"})


@dataclass
class Source:
    """One Python file. path: relative to the tree's root, with slashes."""

    path: str
    text: str
    tenants: Tenants = field(default_factory=Tenants)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Whoever contains the node, from the inside out."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def place(self, node: ast.AST) -> str:
        named = [n.name for n in (node, *self.above(node)) if isinstance(n, Function | ast.ClassDef)]
        return ".".join(reversed(named))

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Calls by the last part of what is called, whatever stands before it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and last(node.func) in names:
                yield node

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Each imported module, and each name imported from one, dotted."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)

    def excuses(self, node: ast.expr, *codes: str) -> bool:
        """Whether a line of the node carries a `noqa` of one of these codes together with its reason."""
        lines = self.text.splitlines()[node.lineno - 1 : node.end_lineno]
        return any(re.search(rf"# noqa: .*\b{code}\b.* [-#] \S", line) for line in lines for code in codes)

    def lies_in(self, *globs: str) -> bool:
        return any(matches(self.path, glob) for glob in globs)


def matches(path: str, glob: str) -> bool:
    """`payments/*` is one level, `payments/**` any number, a bare path only itself."""
    if glob.endswith("/**"):
        return any(parent.match(glob[:-3]) for parent in PurePosixPath(path).parents)
    return path == glob or ("*" in glob and PurePosixPath(path).match(glob))


def last(node: ast.AST) -> str:
    """`c` of `a.b.c` and of `c`; of anything else, nothing."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; empty when something else than names is in it."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            before = dotted(inner)
            return f"{before}.{name}" if before else ""
    return ""


def words(node: ast.AST) -> Iterator[str]:
    """Every name, attribute and keyword inside the node; not the text of strings."""
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(attr=word) | ast.Name(id=word) | ast.keyword(arg=str(word)):
                yield word
