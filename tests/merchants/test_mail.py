"""Mail: written with the act, sent after it, sealed meanwhile, tried again, kept by nobody."""

from __future__ import annotations

import smtplib
from datetime import timedelta

import pytest
from django.core import mail as post
from django.db import connection, transaction
from django.utils import timezone

from merchants import mail, tasks
from merchants.models import MailMessage
from tests import constraints
from tests.factories import NOW

pytestmark = pytest.mark.django_db
LINK = "https://pay.example.com/password/a-secret-token/"


def write(to="ann@shop.test"):
    return mail.write(to=to, subject="Choose", template="reset_password", url=LINK, now=NOW)


def make_due():
    MailMessage.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


def is_due():
    with connection.cursor() as cursor:
        cursor.execute(mail.DUE_SQL)
        return cursor.fetchone() is not None


@pytest.fixture
def dead_server(monkeypatch):
    def refuse(self):
        raise smtplib.SMTPServerDisconnected(f"cannot take {LINK}")

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", refuse)


class TestWrite:
    def test_seals_what_may_open_an_account(self):
        write()
        row = MailMessage.objects.get()
        assert "secret-token" not in f"{row.text_ciphertext}{row.html_ciphertext}{row.subject}{row.error}"
        assert row.text_ciphertext.startswith("v1.sandbox.")
        assert is_due()

    def test_escapes_in_the_html_part_alone(self):
        mail.write(
            to="a@b.test", subject="x", template="notice", what="<b>A & B</b>", settles_at=NOW, now=NOW
        )
        letter = mail.recent(now=NOW)[0]
        assert "<b>A & B</b>" in letter.text
        assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in letter.html


@pytest.mark.django_db(transaction=True)
class TestItsTransaction:
    def test_takes_the_letter_back_with_the_act(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            write()
            raise ZeroDivisionError
        assert mail.send_due() == 0
        assert not post.outbox


class TestSendDue:
    def test_sends_text_and_html_and_keeps_nothing_in_production(self, settings):
        write()
        settings.PRODUCTION = True
        assert mail.send_due() == 1
        sent = post.outbox[0]
        assert (sent.to, sent.subject, sent.from_email) == (
            ["ann@shop.test"],
            "Choose",
            settings.DEFAULT_FROM_EMAIL,
        )
        assert LINK in sent.body
        assert LINK in sent.alternatives[0].content
        row = MailMessage.objects.get()
        assert (row.state, row.text_ciphertext, row.html_ciphertext) == ("sent", "", "")
        assert mail.recent(now=NOW) == []

    def test_leaves_it_in_the_sandboxs_mailbox(self):
        write()
        write("bob@shop.test")
        mail.send_due()
        assert [(one.to, one.state) for one in mail.recent(now=NOW)] == [
            ("bob@shop.test", "sent"),
            ("ann@shop.test", "sent"),
        ]

    def test_sends_each_once(self):
        write()
        assert (mail.send_due(), mail.send_due()) == (1, 0)
        assert len(post.outbox) == 1

    def test_tries_again_later_and_tells_no_log_what_was_in_it(self, dead_server, caplog):
        write()
        assert mail.send_due() == 1
        row = MailMessage.objects.get()
        assert (row.state, row.attempts, row.error) == ("queued", 1, "SMTPServerDisconnected")
        assert timedelta(seconds=5) < row.next_attempt_at - timezone.now() <= timedelta(seconds=10)
        assert not is_due()
        assert "secret-token" not in caplog.text

    def test_gives_up_in_the_end(self, dead_server, settings):
        settings.PRODUCTION = True
        write()
        for _ in range(len(mail.WAITS) + 1):
            make_due()
            mail.send_due()
        row = MailMessage.objects.get()
        assert (row.state, row.text_ciphertext) == ("failed", "")

    def test_lets_no_letter_stop_the_others(self, monkeypatch):
        broken, _ = write(), write("bob@shop.test")
        MailMessage.objects.filter(pk=broken.pk).update(text_ciphertext="damaged")
        assert mail.send_due() == 2
        assert [one.to for one in post.outbox] == [["bob@shop.test"]]

    def test_is_the_tasks_work(self):
        write()
        tasks.send_mail(from_a_newer_release=True)
        assert len(post.outbox) == 1


class TestPrune:
    def test_forgets_after_a_month(self):
        write()
        mail.send_due()
        assert mail.prune() == 0
        MailMessage.objects.update(next_attempt_at=timezone.now() - timedelta(days=31))
        assert mail.prune() == 1


class TestTheDatabase:
    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ("state = 'x'", "mail_message_state_is_known"),
            ("state = 'sent'", "mail_message_says_when_it_was_sent"),
            ("text_ciphertext = ''", "mail_message_has_a_text_to_send"),
        ],
    )
    def test_refuses(self, change, constraint):
        write()
        constraints.refused(constraint, f"UPDATE merchants_mailmessage SET {change}")
