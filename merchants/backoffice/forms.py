"""What forms of the back-office share: refusals at their field, and the code that confirms an act."""

from __future__ import annotations

from django import forms

from merchants.errors import Refusal


class CodeInput(forms.TextInput):
    """One input for the six digits, styled as six boxes; phones offer the code by themselves."""

    def __init__(self) -> None:
        super().__init__(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "numeric",
                "maxlength": "7",
                "class": "code",
                "spellcheck": "false",
            }
        )


class BackofficeForm(forms.Form):
    """A form that a `Refusal` can be shown in."""

    required_css_class = "required"

    def refuse(self, refusal: Refusal) -> None:
        """Shows the refusal's sentence at its field, or above the form where it has none here."""
        self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))


class ChosenPasswordForm(BackofficeForm):
    """A new password, twice."""

    password = forms.CharField(
        label="New password",
        help_text="At least twelve characters. A few words that belong together for you alone are good.",
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeat = forms.CharField(
        label="The same again",
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_repeat(self) -> str:
        again: str = self.cleaned_data["repeat"]
        if "password" in self.cleaned_data and again != self.cleaned_data["password"]:
            raise forms.ValidationError("This is not what you typed above.")
        return again


class StepUpForm(BackofficeForm):
    """A sensitive act: its POST carries a fresh code from the person's authenticator."""

    code = forms.CharField(
        label="Code from your authenticator",
        max_length=16,
        widget=CodeInput,
        error_messages={"required": "Enter the six digits that your authenticator shows now."},
    )
