"""The queues' own entry: Celery's commands, without what no queue needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = """
import json, sys
sys.argv = ["config.queues"]
from config import queues
try:
    queues.main([{command!r}, "--help"])
except SystemExit:
    pass
import django
if {command!r} == "worker":
    django.setup()
print(json.dumps([name for name in {names!r} if name in sys.modules]))
"""


def run(*arguments: str, role: str = "worker") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BURSAR_ROLE": role, "DATABASE_URL": "postgresql:///unused"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


class TestQueues:
    @pytest.mark.parametrize(("command", "option"), [("worker", "--queues"), ("beat", "--schedule")])
    def test_runs_celerys_own_command(self, command, option):
        done = run("-m", "config.queues", command, "--help")
        assert done.returncode == 0
        assert option in done.stdout

    @pytest.mark.parametrize("arguments", [[], ["shell"]])
    def test_refuses_any_other_command(self, arguments):
        done = run("-m", "config.queues", *arguments)
        assert done.returncode == 1
        assert done.stderr == "usage: python -m config.queues worker|beat OPTIONS\n"

    @pytest.mark.parametrize("role", ["worker", "deliver", "deliver_slow", "sender"])
    def test_loads_neither_doors_nor_a_shell(self, role):
        names = ["prompt_toolkit", "config.urls", "django.contrib.admin.sites", "merchants.backoffice"]
        done = run("-c", LOADED.format(command="worker", names=[*names, "callbacks.tasks"]), role=role)
        assert json.loads(done.stdout.splitlines()[-1]) == ["callbacks.tasks"]

    def test_leaves_beat_without_models(self):
        done = run("-c", LOADED.format(command="beat", names=["payments.models", "celery"]), role="beat")
        assert json.loads(done.stdout.splitlines()[-1]) == ["celery"]


class TestDoors:
    @pytest.mark.parametrize(
        ("role", "pages", "intake"), [("web", True, False), ("intake", False, True), ("manage", True, True)]
    )
    def test_are_loaded_by_the_roles_that_serve_them(self, role, pages, intake):
        program = (
            "import os, sys, json, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings';"
            "django.setup(); import config.urls;"
            "print(json.dumps(['merchants.backoffice' in sys.modules, 'callbacks.api.urls' in sys.modules]))"
        )
        assert json.loads(run("-c", program, role=role).stdout) == [pages, intake]
