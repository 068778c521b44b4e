"""The team: who may do what, in plain words; invited, given another role, removed."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse

from merchants import invitations, team
from merchants.backoffice.access import Act, Page
from merchants.backoffice.forms import BackofficeForm, StepUpForm
from merchants.models import Membership, TotpDevice
from merchants.roles import Role

GIVEN_BY_STAFF = [role for role in Role if role is not Role.OWNER]
"""An Owner is made, changed and removed by the operator alone."""
ROLES = [(role.value, f"{role.label}: {role.words}") for role in GIVEN_BY_STAFF]
INVITED = [choice for choice in ROLES if choice[0] != Role.RESTRICTED]


class Team(Page):
    act, tab, title = "team.view", "team", "Team"
    template_name = "backoffice/team/list.html"

    def get(self, request: HttpRequest, client_id: int) -> HttpResponse:
        members = list(team.members(self.merchant))
        people = [member.user_id for member in members]
        enrolled = TotpDevice.objects.filter(user__in=people, confirmed=True)
        return self.render(
            {
                "members": [(member, Role(member.role)) for member in members],
                "enrolled": set(enrolled.values_list("user_id", flat=True)),
                "invitations": invitations.pending(merchant=self.merchant, now=self.now),
                "roles": list(Role),
            }
        )


class _TeamAct(Act):
    tab = "team"

    def common(self) -> dict[str, Any]:
        """What every verb on the team is told."""
        return {"merchant": self.merchant, "by": self.person, "now": self.now, **self.how()}


class InviteForm(StepUpForm):
    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    role = forms.ChoiceField(label="Role", choices=INVITED, widget=forms.RadioSelect, initial=Role.VIEW.value)
    field_order = ("email", "role", "code")


class Invite(_TeamAct):
    act, title = "team.invite", "Invite somebody"
    template_name = "backoffice/team/invite.html"
    form_class = InviteForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        email = form.cleaned_data["email"]
        invitations.invite(email=email, role=Role(form.cleaned_data["role"]), **self.common())
        return self.done(f"{email} is invited; the link in the mail is good for seven days.", "team")


class Withdraw(_TeamAct):
    act, title = "team.invite", "Withdraw an invitation"
    template_name = "backoffice/team/withdraw.html"
    form_class = StepUpForm

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        return self.render({"form": form, "invitation": self.invitation}, status=status)

    @property
    def invitation(self) -> Any:
        pending = invitations.pending(merchant=self.merchant, now=self.now)
        found = pending.filter(email=self.kwargs["email"]).first()
        if found is None:
            raise Http404
        return found

    def perform(self, form: BackofficeForm) -> HttpResponse:
        invitations.withdraw(invitation_id=self.invitation.pk, **self.common())
        return self.done("The invitation is withdrawn; its link opens nothing any more.", "team")


class _MemberAct(_TeamAct):
    """An act on the member whose e-mail address the URL names."""

    @property
    def member(self) -> Membership:
        found = team.members(self.merchant).filter(user__email=self.kwargs["email"]).first()
        if found is None:
            raise Http404
        return found

    def show(self, form: BackofficeForm, *, status: int = 200) -> HttpResponse:
        member = self.member
        context = {"form": form, "member": member, "is_owner": Role(member.role) is Role.OWNER}
        return self.render(context, status=status)


class RoleForm(StepUpForm):
    role = forms.ChoiceField(label="Role", choices=ROLES, widget=forms.RadioSelect)
    field_order = ("role", "code")


class ChangeRole(_MemberAct):
    act, title = "team.change", "Change a role"
    template_name = "backoffice/team/role.html"
    form_class = RoleForm

    def initial(self) -> dict[str, Any]:
        return {"role": self.member.role}

    def perform(self, form: BackofficeForm) -> HttpResponse:
        member = self.member
        role = Role(form.cleaned_data["role"])
        team.change_role(membership_id=member.pk, role=role, **self.common())
        return self.done(f"{member.user.email} is {role.label} now.", "team")


class Remove(_MemberAct):
    act, title = "team.remove", "Remove from the team"
    template_name = "backoffice/team/remove.html"
    form_class = StepUpForm

    def perform(self, form: BackofficeForm) -> HttpResponse:
        member = self.member
        team.remove(membership_id=member.pk, **self.common())
        return self.done(f"{member.user.email} is off the team.", "team")
