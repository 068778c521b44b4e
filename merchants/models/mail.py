"""Mail on its way: a row is the letter until a server has taken it."""

from __future__ import annotations

from django.db import models

from merchants.models.sealed import SealedTextField


class MailState(models.TextChoices):
    """How far a letter is."""

    QUEUED = "queued", "Waits for its next try"
    SENT = "sent", "A server took it"
    FAILED = "failed", "Given up"


class MailMessage(models.Model):
    """A letter. Its text may hold a link that opens an account, so it stands encrypted, and in production
    it is removed once the letter is sent or given up. `next_attempt_at` is real time.
    """

    to = models.EmailField()
    subject = models.CharField(max_length=200)
    text_ciphertext = SealedTextField(editable=False, blank=True)
    html_ciphertext = SealedTextField(editable=False, blank=True)
    state = models.CharField(max_length=10, choices=MailState.choices, default=MailState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"], condition=models.Q(state="queued"), name="mail_that_is_due"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=MailState.values), name="mail_message_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state=MailState.SENT, sent_at__isnull=False)
                | (~models.Q(state=MailState.SENT) & models.Q(sent_at=None)),
                name="mail_message_says_when_it_was_sent",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=MailState.QUEUED) | ~models.Q(text_ciphertext=""),
                name="mail_message_has_a_text_to_send",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.to} ({self.state})"
