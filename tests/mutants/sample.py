"""Which small changes to a room's code are tried: cosmic-ray's operators, without those that are no behaviour.

A mutant's place in the draw comes from its own text, not from its line number: a change elsewhere leaves the sample as
it is, so scores of two commits can be compared and accepted survivors stay recognizable.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from parso.tree import NodeOrLeaf

# Near misses, such as a person makes. cosmic-ray also has all other pairs (`+` for `|`, `is` for `<`): they mostly
# raise TypeErrors, so that any test kills them and the score says nothing.
OPERATORS = re.compile(
    r"core/(AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer|NumberReplacer|RemoveDecorator"
    r"|ZeroIterationForLoop|ReplaceUnaryOperator_(USub_UAdd|Delete_USub|Delete_Invert|Delete_Not)"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_FloorDiv|Pow_Mul|BitAnd_BitOr"
    r"|BitOr_BitAnd|BitXor_BitOr|LShift_RShift|RShift_LShift)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt|Is_IsNot"
    r"|IsNot_Is))"
)
BINARY_EXPRESSIONS = {"arith_expr", "term", "power", "expr", "xor_expr", "and_expr", "shift_expr"}
# Without these a class or function is a different thing (any test kills that), or the same one (static methods).
DECLARATIONS = re.compile(
    r"@(dataclass|property|cached_property|staticmethod|classmethod|abstractmethod|overload|contextmanager"
    r"|runtime_checkable)\b"
)
TALK = {"log", "logger", "logging", "warnings", "print", "console", "CONSOLE"}


@dataclass(frozen=True)
class Mutant:
    """One changed line of a file."""

    path: str
    """From the root of the checkout, with slashes."""
    line: int
    begin: int
    """Line on which the changed statement begins."""
    operator: str
    code: str
    """The whole file, changed."""
    was: str
    became: str
    """The lines that differ, before and after."""


def sample(root: Path, paths: list[str], count: int, seed: int) -> list[Mutant]:
    """Up to so many mutants, one a line at most, spread over the files as their code is; in the order of the draw."""
    candidates = [candidate for path in paths for candidate in _candidates(path, (root / path).read_text("utf8"), seed)]
    mutants: list[Mutant] = []
    taken: set[tuple[str, int]] = set()
    for _, path, line, begin, operator, occurrence in sorted(candidates):
        if len(mutants) == count:
            break
        if (path, line) not in taken:
            mutant = _mutated(path, (root / path).read_text("utf8"), line, begin, operator, occurrence)
            if mutant is not None:
                mutants.append(mutant)
                taken.add((path, line))
    return mutants


def _candidates(path: str, code: str, seed: int) -> Iterator[tuple[str, str, int, int, str, int]]:
    """(place in the draw, path, line, line where its statement begins, operator, which of its places in the file)"""
    tree, lines, seen = get_ast(code), code.splitlines(), Counter()
    for name in sorted(filter(OPERATORS.fullmatch, plugins.operator_names())):
        operator = plugins.get_operator(name)()
        positions = ((node, start) for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node))
        for occurrence, (node, (line, column)) in enumerate(positions):
            if not _is_behaviour(name, node, (line, column)):
                continue
            text = f"{seed} {path} {name} {lines[line - 1].strip()}"
            seen[text] += 1
            place = hashlib.sha256(f"{text} {seen[text]}".encode()).hexdigest()
            yield place, path, line, _statement(node).start_pos[0], name, occurrence


def _is_behaviour(operator: str, node: NodeOrLeaf, start: tuple[int, int]) -> bool:
    """Neither types, nor the words of errors and logs, nor what only shows an object to its programmer."""
    if operator.startswith("core/ReplaceBinaryOperator"):
        if node.parent.type not in BINARY_EXPRESSIONS:
            return False
        # An alias of types, outside of all functions.
        if node.value == "|" and not any(ancestor.type == "funcdef" for ancestor in _upwards(node)):
            return False
        # A path is joined: multiplied it is a TypeError.
        if node.value == "/" and node.get_next_sibling().type in ("string", "fstring"):
            return False
    if operator == "core/RemoveDecorator":
        return not DECLARATIONS.match(node.get_code(include_prefix=False))
    return not any(_says_nothing(ancestor, start) for ancestor in _upwards(node))


def _statement(node: NodeOrLeaf) -> NodeOrLeaf:
    return next(ancestor for ancestor in _upwards(node) if ancestor.type.endswith(("_stmt", "def", "file_input")))


def _upwards(node: NodeOrLeaf | None) -> Iterator[NodeOrLeaf]:
    while node is not None:
        yield node
        node = node.parent


def _says_nothing(node: NodeOrLeaf, start: tuple[int, int]) -> bool:
    """Whether what begins at `start`, in this node, is no behaviour."""

    def within(part: NodeOrLeaf | None) -> bool:
        return part is not None and part.start_pos <= start < part.end_pos

    if node.type in ("raise_stmt", "fstring_format_spec", "decorator"):
        return True
    if node.type in ("annassign", "tfpdef"):
        return within(node.children[1 if node.type == "annassign" else 2])
    if node.type == "funcdef":
        return node.name.value in ("__repr__", "__str__") or within(node.annotation)
    if node.type == "if_stmt":
        return "TYPE_CHECKING" in node.children[1].get_code() or "__main__" in node.children[1].get_code()
    return node.type in ("atom_expr", "power") and getattr(node.children[0], "value", "") in TALK


def _mutated(path: str, code: str, line: int, begin: int, operator: str, occurrence: int) -> Mutant | None:
    """None if it would not compile or changes nothing."""
    mutated = mutate_code(code, plugins.get_operator(operator)(), occurrence)
    if mutated is None or mutated == code:
        return None
    try:
        compile(mutated, path, "exec")
    except SyntaxError:
        return None
    lines = list(difflib.ndiff(code.splitlines(), mutated.splitlines()))
    was, became = (
        "\n".join(text[2:].strip() for text in lines if text.startswith(sign)).strip() for sign in ("- ", "+ ")
    )
    return Mutant(path, line, begin, operator.removeprefix("core/"), mutated, was, became)
