"""The other end of `/sim/*`: a client for tests and the demo, and a command for people.

The command prints one line for each result, or JSON with `--json`; it exits 1 when the sandbox refuses and
2 when it cannot be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

import requests

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class ControlRefused(Exception):
    """The sandbox says no, field by field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {error}" for field, error in errors.items()))
        self.errors = errors


class NoAnswer(Exception):
    """Nobody is there, or it is no sandbox."""


class Control:
    """One sandbox's controls; every method of `/sim/*` is `call(name, **parameters)`."""

    def __init__(self, *, url: str, token: str, timeout: float = 30) -> None:
        self._url, self._timeout = url.rstrip("/"), timeout
        self._headers = {"X-Sandbox-Token": token, "Content-Type": "application/json"}

    def call(self, name: str, **parameters: object) -> dict[str, Any]:
        """The control's answer. Raises `ControlRefused`, `NoAnswer`."""
        try:
            answer = self._post(name, parameters)
            body: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise NoAnswer(str(error)) from error
        if answer.status_code != 200:
            raise ControlRefused(body.get("errors") or {body.get("code", "error"): body.get("error", "")})
        return body

    def _post(self, name: str, parameters: dict[str, object]) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                f"{self._url}/sim/{name}",
                data=json.dumps({key: value for key, value in parameters.items() if value is not None}),
                headers=self._headers,
                timeout=self._timeout,
            )


def seconds(text: str) -> int:
    """`90`, `90s`, `15m`, `2h` or `1d` in seconds."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError("a time is a number and s, m, h or d")
    return int(match[1]) * _UNITS[match[2]]


def fault(text: str) -> tuple[str, object]:
    """`silent`, `duplicate=3`, `silent=false` or `fail_withdrawals=Rejected` as name and value."""
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value) if equals else True
    except ValueError:
        return name, value


def main(arguments: list[str] | None = None) -> int:
    """Runs one control; returns the exit code."""
    options = _parser().parse_args(arguments)
    control = Control(
        url=os.environ.get("BURSAR_SANDBOX_CONTROL_URL", "http://127.0.0.1:8010"),
        token=os.environ.get("BURSAR_SANDBOX_CONTROL_TOKEN", ""),
    )
    try:
        answer = control.call(options.control.replace("-", "_"), **_parameters(options))
    except ControlRefused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    except NoAnswer as error:
        print(f"the sandbox cannot be reached: {error}", file=sys.stderr)  # noqa: T201
        return 2
    lines = [json.dumps(answer)] if options.json else _lines(answer)
    print("\n".join(lines))  # noqa: T201
    return 0


def _parameters(options: argparse.Namespace) -> dict[str, object]:
    named = {
        name: value for name, value in vars(options).items() if name not in {"control", "json", "faults"}
    }
    return named | dict(getattr(options, "faults", None) or ())


def _lines(answer: dict[str, Any]) -> Iterable[str]:
    """One line for each operation, height, balance, fault that is on, or plain value."""
    for name, value in answer.items():
        if name in {"operations", "confirmed"}:
            yield from (_operation_line(operation) for operation in value)
        elif name == "balances":
            yield from (f"balance {line['amount']} {line['currency']}" for line in value)
        elif name == "faults":
            on = [f"{fault}={setting}" for fault, setting in value.items() if setting not in (False, 0, "")]
            yield f"faults {' '.join(on)}"
        elif isinstance(value, dict):
            yield f"{name} {' '.join(f'{key}={inner}' for key, inner in value.items())}"
        else:
            yield f"{name} {value}"


def _operation_line(operation: dict[str, Any]) -> str:
    if "amount" in operation:
        money = f"{operation['amount']} {operation['currency']}"
    else:
        leg = operation["transactions"][0]
        money = f"{leg['amount']} {leg['currency']}"
    words = [operation["type"], str(operation["id"]), operation["status"], money]
    words += [operation["txid"]] if operation.get("txid") else []
    words += [f"({operation['error']})"] if operation["error"] else []
    return " ".join(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox",
        description="Plays payers, miners and faults. Reads BURSAR_SANDBOX_CONTROL_URL and _TOKEN.",
    )
    parser.add_argument("--json", action="store_true", help="print the whole answer")
    commands = parser.add_subparsers(dest="control", required=True, metavar="COMMAND")

    pay = commands.add_parser("pay", help="pay an address")
    pay.add_argument("address")
    pay.add_argument("amount")
    pay.add_argument("--currency", help="another currency of the address's network")
    pay.add_argument("--tag", help="the destination tag (XRP)")
    pay.add_argument("--parts", type=int, help="in so many transactions")
    pay.add_argument("--txid")
    pay.add_argument("--sender", dest="sender_address")
    pay.add_argument("--riskscore", help="a fraction, 0.5 is 50 %%")

    block = commands.add_parser("block", help="mine blocks")
    block.add_argument("count", type=int, nargs="?", default=1)
    block.add_argument("--network", help="a network, or a currency on it; all of them if not given")

    commands.add_parser("wait", help="move the clock").add_argument("seconds", type=seconds, metavar="TIME")

    replace = commands.add_parser("replace", help="double-spend a payment in the mempool")
    replace.add_argument("id", help="its operation id or txid")
    replace.add_argument("--amount", help="what the payer pays instead")
    for name, text in _BY_ID.items():
        commands.add_parser(name, help=text).add_argument("id", help="its operation id or txid")

    fund = commands.add_parser("fund", help="add money to Bursar's account at the sandbox")
    fund.add_argument("currency")
    fund.add_argument("amount")

    faults = commands.add_parser("faults", help="make things go wrong: silent, duplicate=3, api_hang=20 ...")
    faults.add_argument("faults", type=fault, nargs="*", metavar="NAME[=VALUE]")
    commands.add_parser("reset_faults", aliases=["reset-faults"], help="nothing goes wrong any more")
    commands.add_parser("state", help="what exists")
    return parser


_BY_ID = {
    "reorg": "throw the block of a confirmed deposit out of the chain",
    "remine": "let a deposit that was thrown out be mined again",
    "repeat": "send an operation's callback again",
}


if __name__ == "__main__":
    sys.exit(main())
