"""The rules. Each takes a file and yields the nodes that break it; its docstring is what a person is told.

What a linter already says (ruff's S and DTZ, import-linter) is not said again, except where the house is
stricter. Exceptions are not made here but in `allowed.toml`, each with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from source import Function, Source, dotted, last, words

Rule = Callable[[Source], Iterator[ast.AST]]
RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {}

DJANGO = ("merchants/**", "payments/**", "callbacks/**", "config/**")
PRODUCT = (*DJANGO, "sandbox/**", "launcher/**")
DOORS = ("*/api/**", "*/backoffice/**", "*/checkout/**")


def rule(name: str, *where: str) -> Callable[[Rule], Rule]:
    def kept(judge: Rule) -> Rule:
        RULES[name] = (judge, where)
        return judge

    return kept


MONEY = re.compile(
    r"(amount|balance|price|fee|total|worth|turnover|minimum|maximum)s?(_sent|_received|_after|_net)?"
)


@rule("money-is-never-a-float", "payments/**", "callbacks/**", "sandbox/**")
def money_is_never_a_float(source: Source) -> Iterator[ast.AST]:
    """An amount that was a float once has already been rounded: Decimal from the wire to the row."""
    yield from source.calls("float", "FloatField")
    if source.lies_in("payments/**"):
        yield from source.calls("round")
    for call in source.calls("Decimal", "Money"):
        if any(isinstance(a, ast.Constant) and isinstance(a.value, float) for a in call.args):
            yield call
    for node in ast.walk(source.tree):
        match node:
            case (
                ast.arg(arg=name, annotation=kind) | ast.AnnAssign(target=ast.Name(id=name), annotation=kind)
            ):
                if MONEY.fullmatch(name) and kind is not None and "float" in words(kind):
                    yield node
            case ast.BinOp(left=left, right=right):
                sides = (left, right)
                literal = any(isinstance(s, ast.Constant) and isinstance(s.value, float) for s in sides)
                if literal and any(MONEY.fullmatch(last(side)) for side in sides):
                    yield node


READS_NOTHING = {"create", "bulk_create", "bulk_update", "as_manager", "model", "from_queryset"}


@rule("tenant-scope", *DJANGO)
def tenant_scope(source: Source) -> Iterator[ast.AST]:
    """A merchant's rows are read through `for_merchant(merchant)`: another's are as good as missing."""
    guarded = source.tenants.owned | (source.tenants.hanging if source.lies_in(*DOORS) else frozenset())
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(
                value=ast.Name(id=model), attr="objects" | "_default_manager" | "_base_manager"
            ):
                if model in guarded and not _is_scoped(source, node):
                    yield node
            case ast.Call(
                func=ast.Name(id="get_object_or_404" | "get_list_or_404"), args=[ast.Name(id=model), *_]
            ):
                if model in guarded:
                    yield node


def _is_scoped(source: Source, manager: ast.AST) -> bool:
    """Whether the chain of calls on a manager names the merchant, or reads nothing."""
    methods = [node.attr for node in _chain(source, manager) if isinstance(node, ast.Attribute)]
    if "for_merchant" in methods or (methods and methods[0] in READS_NOTHING):
        return True
    called = [node for node in _chain(source, manager) if isinstance(node, ast.Call)]
    own = methods[:1] != [] and methods[0] not in {"get", "filter", "exclude", "in_bulk", "all"}
    return own and bool(called) and any(word.arg == "merchant" for word in called[0].keywords)


def _chain(source: Source, node: ast.AST) -> Iterator[ast.AST]:
    """`.filter`, `.filter(…)`, `.first`, …: what is called on what was called before."""
    for parent in source.above(node):
        if not (isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node)):
            return
        yield parent
        node = parent


TIMED = {"countdown", "eta", "autoretry_for", "retry_backoff", "default_retry_delay", "max_retries"}


@rule("no-timer-in-the-broker", *DJANGO)
def no_timer_in_the_broker(source: Source) -> Iterator[ast.AST]:
    """A timer is a row that a sweep finds; a message that waits in the broker runs again, or never."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and TIMED & {word.arg for word in node.keywords}:
            yield node
    yield from source.calls("retry")


REACHES_OUT = (
    "requests",
    "urllib.request",
    "urllib3",
    "http.client",
    "httpx",
    "aiohttp",
    "socket",
    "smtplib",
    "ftplib",
    "asyncio.open_connection",
)


@rule("two-clients", *DJANGO)
def two_clients(source: Source) -> Iterator[ast.AST]:
    """Only the merchants' connector and the processors' transport open connections: they check where to."""
    for node, name in source.imports():
        if any(name == far or name.startswith(f"{far}.") for far in REACHES_OUT):
            yield node


@rule("html-is-escaped", *DJANGO)
def html_is_escaped(source: Source) -> Iterator[ast.AST]:
    """Text becomes HTML through autoescaping or `format_html` with a fixed pattern, nothing else."""
    yield from source.calls("mark_safe", "html_safe")
    for call in source.calls("SafeString", "SafeText", "format_html", "format_html_join", "Template"):
        if call.args and not isinstance(call.args[0], ast.Constant):
            yield call


@rule("amounts-are-written-plainly", *DJANGO)
def amounts_are_written_plainly(source: Source) -> Iterator[ast.AST]:
    """`str` of a small Decimal is `1E-8`: write amounts with `format(x, 'f')` or the wire's own writer."""
    for node in ast.walk(source.tree):
        match node:
            case ast.FormattedValue(value=value, format_spec=None) if _is_amount(value):
                yield node
            case ast.Call(func=ast.Name(id="str" | "repr"), args=[value]) if _is_amount(value):
                yield node
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=values):
                parts = values.elts if isinstance(values, ast.Tuple) else [values]
                if any(_is_amount(part) for part in parts):
                    yield node


def _is_amount(node: ast.AST) -> bool:
    """By its name; a plural is several of them, or a text made of them."""
    return bool(MONEY.fullmatch(last(node))) and not last(node).endswith("s")


@rule("json-passes-the-guard", *PRODUCT)
def json_passes_the_guard(source: Source) -> Iterator[ast.AST]:
    """Foreign JSON is read by `payments.wire` alone: bounded, exact, without doubled keys."""
    for call in source.calls("loads", "load", "JSONDecoder", "json"):
        if dotted(call.func) in {"json.loads", "json.load", "json.JSONDecoder", "JSONDecoder"} or (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "json"
            and last(call.func.value) != "env"
        ):
            yield call
    for node, name in source.imports():
        if name.partition(".")[0] in {"simplejson", "orjson", "ujson", "rapidjson"} or name in {
            "json.loads",
            "json.load",
            "rest_framework.parsers.JSONParser",
        }:
            yield node


@rule("queries-have-fixed-columns", *DJANGO)
def queries_have_fixed_columns(source: Source) -> Iterator[ast.AST]:
    """`filter(**given)` lets whoever fills `given` ask about any column: write the columns out."""
    for call in source.calls("filter", "exclude", "get", "Q", "get_or_create", "annotate", "alias"):
        given = [word.value for word in call.keywords if word.arg is None]
        if not call.args and any(not _has_fixed_keys(mapping) for mapping in given):
            yield call
    for call in source.calls("order_by", "values", "values_list", "only", "defer"):
        if any(isinstance(a, ast.Starred) and "request" in words(a) for a in call.args):
            yield call


def _has_fixed_keys(node: ast.AST) -> bool:
    return isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys)


PROGRAM_DOORS = {"APIView", "GenericAPIView", "ViewSet", "GenericViewSet"}


@rule("doors-of-programs-are-named", *DJANGO)
def doors_of_programs_are_named(source: Source) -> Iterator[ast.AST]:
    """A view without CSRF protection, as REST framework's are, proves who calls in one named base class."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Name(id="csrf_exempt") | ast.Attribute(attr="csrf_exempt"):
                yield node
            case ast.ImportFrom(names=names) if any(alias.name == "csrf_exempt" for alias in names):
                yield node
            case ast.ClassDef(bases=bases) if any(last(base) in PROGRAM_DOORS for base in bases):
                yield node
            case ast.Call(func=kind) if last(kind) == "api_view":
                yield node


@rule("tasks-go-through-the-doorbell", *DJANGO)
def tasks_go_through_the_doorbell(source: Source) -> Iterator[ast.AST]:
    """A message sent before the commit finds nothing; one sent carelessly stops the door with the broker."""
    yield from source.calls("apply_async", "send_task", "delay")


CLOCKS = {
    "timezone.now",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "datetime.datetime.now",
    "datetime.date.today",
}


@rule("one-clock", *DJANGO)
def one_clock(source: Source) -> Iterator[ast.AST]:
    """The time of business is `merchants.clock`, read at the door and passed on as `now`."""
    for call in source.calls("now", "utcnow", "today", "time"):
        if dotted(call.func) in CLOCKS:
            yield call


RUNS_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}


@rule("no-code-from-data", *PRODUCT)
def no_code_from_data(source: Source) -> Iterator[ast.AST]:
    """Data is never run: no eval, exec, pickle, nor YAML that builds objects."""
    for call in source.calls("eval", "exec", "__import__"):
        if isinstance(call.func, ast.Name):
            yield call
    for call in source.calls("load", "load_all", "unsafe_load", "full_load"):
        if dotted(call.func).startswith("yaml."):
            yield call
    for node, name in source.imports():
        if name.partition(".")[0] in RUNS_DATA:
            yield node


@rule("sql-is-fixed-text", *DJANGO)
def sql_is_fixed_text(source: Source) -> Iterator[ast.AST]:
    """Statements are constants, values are parameters: nothing is put into SQL by %, + or an f-string.

    A line that the linter's own rule excuses with a reason (`noqa: S608 - …`) is excused here too.
    """
    for call in source.calls("execute", "executemany", "raw", "RawSQL", "RunSQL", "SQL"):
        if call.args and _is_composed(source, call.args[0]) and not source.excuses(call, "S608", "S611"):
            yield call
    for call in source.calls("extra"):
        if any(word.arg in {"where", "select", "tables"} for word in call.keywords):
            yield call


def _is_composed(source: Source, text: ast.AST, deep: bool = True) -> bool:
    match text:
        case ast.JoinedStr() | ast.BinOp():
            return any(
                isinstance(inner, ast.FormattedValue | ast.Name | ast.Call) for inner in ast.walk(text)
            )
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "replace" | "format_map")):
            return True
        case ast.Name(id=name) if deep:
            around = next((n for n in source.above(text) if isinstance(n, Function)), source.tree)
            made = [
                n.value for n in ast.walk(around) if isinstance(n, ast.Assign) and last(n.targets[0]) == name
            ]
            return any(_is_composed(source, value, deep=False) for value in made)
    return False


SECRET = re.compile(
    r"(.*_)?(secrets?|passwords?|passphrase|seed|plain|credentials?|tokens?|encryption_keys?|key_ring)"
)
SAYS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


@rule("secrets-stay-silent", *DJANGO)
def secrets_stay_silent(source: Source) -> Iterator[ast.AST]:
    """A secret is never in a log line, an error, an audit record, nor in what `repr` shows."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "logger" | "logging"), attr=level)):
                spoken = level in SAYS
            case ast.Call(func=ast.Name(id="print")) | ast.Raise():
                spoken = True
            case ast.Call(func=ast.Attribute(value=ast.Name(id="audit" | "messages"))):
                spoken = True
            case ast.ClassDef(decorator_list=made) if any("dataclass" in words(one) for one in made):
                yield from _shown_fields(node)
                continue
            case _:
                continue
        if spoken and _names_a_secret(node):
            yield node


def _names_a_secret(node: ast.AST) -> bool:
    """In what is said, not in what is called; a class with that in its name is none."""
    return any(
        SECRET.fullmatch(last(inner))
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name | ast.Attribute) and isinstance(inner.ctx, ast.Load)
    )


def _shown_fields(made: ast.ClassDef) -> Iterator[ast.AST]:
    if any(isinstance(n, Function) and n.name == "__repr__" for n in made.body):
        return
    if any(isinstance(o, ast.Call) and any(w.arg == "repr" for w in o.keywords) for o in made.decorator_list):
        return
    for node in made.body:
        if isinstance(node, ast.AnnAssign) and SECRET.fullmatch(last(node.target)):
            hidden = isinstance(node.value, ast.Call) and any(w.arg == "repr" for w in node.value.keywords)
            if not hidden and {"str", "bytes", "KeyRing"} & set(words(node.annotation)):
                yield node


PROOF = re.compile(r"(.*_)?(signature|hmac|mac|secret|token|password)")


@rule("proofs-are-compared-in-constant-time", *PRODUCT)
def proofs_are_compared_in_constant_time(source: Source) -> Iterator[ast.AST]:
    """`==` on a signature or a token tells by its time how much was right: `hmac.compare_digest`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            fixed = any(isinstance(side, ast.Constant) for side in sides)
            if not fixed and any(PROOF.fullmatch(last(side)) for side in sides):
                yield node
