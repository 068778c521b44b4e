"""Each rule of `.ci/rules` fires where it should and nowhere else, and so does the list of exceptions."""

from __future__ import annotations

import pytest

from tests.ci.programs import ROOT, program

rules = program("rules/__main__.py")
EXAMPLES = ROOT / ".ci" / "rules" / "examples"
TENANTS = rules.Tenants(frozenset({"Account"}), frozenset({"Posting", "Merchant"}))
PLACE = "payments/backoffice/example.py"


def source(text: str, path: str = PLACE):
    return rules.Source(path, text, TENANTS)


class TestRules:
    @pytest.mark.parametrize("name", rules.RULES)
    def test_find_the_bad_lines_of_their_example_and_no_good_one(self, name):
        text = (EXAMPLES / f"{name}.py").read_text()
        bad = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# bad")]
        assert bad
        assert [one.line for one in rules.judge(source(text), [name])] == bad

    @pytest.mark.parametrize("name", rules.RULES)
    def test_say_in_a_sentence_why(self, name):
        rule, where = rules.RULES[name]
        assert rule.__doc__.splitlines()[0].endswith(".")
        assert where

    def test_have_no_example_without_a_rule(self):
        assert {path.stem for path in EXAMPLES.iterdir()} == set(rules.RULES)

    def test_look_only_where_they_apply(self):
        text = "import requests\n"
        assert [one.rule for one in rules.judge(source(text))] == ["two-clients"]
        assert list(rules.judge(source(text, "sandbox/outbox.py"))) == []

    def test_let_verbs_read_what_hangs_on_a_scoped_row(self):
        text = "Posting.objects.filter(entry=entry)\n"
        assert list(rules.judge(source(text, "payments/ledger/reading.py"))) == []


class TestTemplates:
    @pytest.mark.parametrize(
        "line",
        [
            "{{ name|safe }}",
            "{{ name | safeseq }}",
            "{% autoescape off %}",
            "<script>go()</script>",
        ],
    )
    def test_may_not_switch_escaping_off_nor_carry_scripts(self, line):
        assert [one.line for one in rules.judge_template("a.html", f"<p>\n{line}")] == [2]

    @pytest.mark.parametrize(
        "line", ["{{ name }}", "{{ name|money }}", '<script src="{% static "bursar.js" %}" defer></script>']
    )
    def test_may_do_anything_else(self, line):
        assert list(rules.judge_template("a.html", line)) == []


class TestTenants:
    def test_are_read_from_the_models(self):
        known = rules.tenants(
            [rules.Source(str(p.relative_to(ROOT)), p.read_text()) for p in rules.python_files(ROOT)]
        )
        assert {
            "ApiKey",
            "Operation",
            "Leg",
            "Address",
            "Account",
            "Endpoint",
            "OutgoingCallback",
        } <= known.owned
        assert {"Merchant", "AllowlistEntry", "Posting", "DeliveryAttempt"} <= known.hanging
        assert not {"Rate", "Processor", "IncomingCallback"} & (known.owned | known.hanging)


class TestExceptions:
    FOUND = rules.Finding("one-clock", "payments/terms.py", 7, "Terms.begin")

    def entry(self, **values):
        return {"rule": "one-clock", "where": "payments/terms.py", "why": "it is real time"} | values

    @pytest.mark.parametrize(
        "where", ["payments/terms.py", "payments/*.py", "payments/**", "payments/terms.py::Terms"]
    )
    def test_cover_what_they_name(self, where):
        assert rules.verdict([self.FOUND], [self.entry(where=where)]) == []

    @pytest.mark.parametrize(
        "values",
        [
            {"where": "payments/rates.py"},
            {"where": "callbacks/**"},
            {"where": "payments/terms.py::Term"},
            {"rule": "two-clients"},
        ],
    )
    def test_cover_nothing_else_and_may_not_be_idle(self, values):
        faults = rules.verdict([self.FOUND], [self.entry(**values)])
        assert len(faults) == 2
        assert faults[0].startswith("payments/terms.py:7: one-clock in Terms.begin")
        assert faults[1].startswith("allowed.toml: nothing breaks")

    @pytest.mark.parametrize(
        "text",
        [
            'rule = "one-clock"\nwhere = "a.py"\nwhy = "because"',
            'rule = "one-clock"\nwhere = "a.py"',
            'rule = "no-such-rule"\nwhere = "a.py"\nwhy = "for a good reason"',
        ],
    )
    def test_have_a_reason_and_a_rule(self, text):
        with pytest.raises(ValueError, match=r"an exception has|there is no rule"):
            rules.allowed(f"[[allowed]]\n{text}\n")
