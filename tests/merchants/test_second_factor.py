"""The second factor: a code works once, a wrong one makes the next try wait, whatever becomes of the act."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from merchants import accounts, second_factor
from merchants.models import TotpDevice
from merchants.second_factor import NoDevice, TooManyCodes, UsedCode, WrongCode
from tests import constraints
from tests.factories import NOW
from tests.merchants.conftest import code_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def device(owner):
    return TotpDevice.objects.get(user=owner)


def wrong(device):
    right = {code_of(device, steps=steps) for steps in range(-3, 4)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def standing(device):
    row = TotpDevice.objects.get(pk=device.pk)
    return row.last_t, row.throttling_failure_count, row.last_used_at


def wait_over(device):
    past = timezone.now() - timedelta(hours=1)
    TotpDevice.objects.filter(pk=device.pk).update(throttling_failure_timestamp=past)


class TestConfirm:
    def test_takes_a_fresh_code_and_stamps_the_device(self, owner, device):
        assert second_factor.confirm(user=owner, code=code_of(device), now=NOW) == device
        assert TotpDevice.objects.get(pk=device.pk).last_used_at == NOW

    def test_takes_a_code_with_a_space_in_it(self, owner, device):
        code = code_of(device)
        assert second_factor.confirm(user=owner, code=f" {code[:3]} {code[3:]}\n", now=NOW) == device

    def test_refuses_a_code_that_was_used_and_says_so(self, owner, device):
        code = code_of(device)
        second_factor.confirm(user=owner, code=code, now=NOW)
        before = standing(device)
        with pytest.raises(UsedCode) as refusal:
            second_factor.confirm(user=owner, code=code, now=NOW)
        assert str(refusal.value) == "This code was used already. Wait for the next code."
        assert refusal.value.field == "code"
        assert standing(device) == before

    def test_takes_the_next_code_after_a_used_one(self, owner, device):
        second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert second_factor.confirm(user=owner, code=code_of(device, steps=1), now=NOW) == device

    def test_refuses_an_earlier_code_after_a_later_one(self, owner, device):
        earlier = code_of(device)
        second_factor.confirm(user=owner, code=code_of(device, steps=1), now=NOW)
        with pytest.raises(UsedCode):
            second_factor.confirm(user=owner, code=earlier, now=NOW)

    @pytest.mark.parametrize(
        "odd", ["", "12345", "1234567", "１２３４５６", "+12345", "1_2345", "abcdef", "\x00"]
    )
    def test_refuses_what_is_no_code(self, owner, device, odd):
        with pytest.raises(WrongCode):
            second_factor.confirm(user=owner, code=odd, now=NOW)
        assert standing(device) == (-1, 1, None)

    def test_makes_the_next_try_wait_after_a_wrong_code_even_with_the_right_one(self, owner, device):
        with pytest.raises(WrongCode):
            second_factor.confirm(user=owner, code=wrong(device), now=NOW)
        with pytest.raises(TooManyCodes) as refusal:
            second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert str(refusal.value) == "Too many wrong codes. Try again in 1 s."
        assert standing(device) == (-1, 1, None)

    def test_doubles_the_wait_with_each_wrong_code_and_forgets_it_after_a_right_one(self, owner, device):
        for failures in range(1, 5):
            wait_over(device)
            with pytest.raises(WrongCode):
                second_factor.confirm(user=owner, code=wrong(device), now=NOW)
            assert standing(device)[1] == failures
        with pytest.raises(TooManyCodes) as refusal:
            second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert str(refusal.value) in {f"Too many wrong codes. Try again in {n} s." for n in (7, 8)}
        wait_over(device)
        second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert standing(device)[1] == 0

    def test_refuses_somebody_elses_code(self, owner, device):
        other = accounts.create(email="other@shop.test", now=NOW)
        with pytest.raises(WrongCode):
            second_factor.confirm(user=owner, code=code_of(other.enrolment.device), now=NOW)
        assert standing(other.enrolment.device) == (-1, 0, None)

    def test_refuses_who_has_no_device(self, owner, device):
        TotpDevice.objects.update(confirmed=False)
        with pytest.raises(NoDevice):
            second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert standing(device) == (-1, 0, None)

    def test_takes_a_code_of_any_of_the_persons_devices(self, owner, device):
        second = accounts.enrol(user=owner, now=NOW).device
        assert second_factor.confirm(user=owner, code=code_of(second), now=NOW) == second

    def test_works_with_a_step_of_one_second(self, owner):
        made = accounts.create(email="quick@shop.test", now=NOW, step=1)
        code = code_of(made.enrolment.device, steps=1)
        assert second_factor.confirm(user=made.user, code=code, now=NOW) == made.enrolment.device


@pytest.mark.django_db(transaction=True)
class TestItsTransaction:
    def test_is_committed_before_the_acts_own(self, owner, device):
        code = code_of(device)
        second_factor.confirm(user=owner, code=code, now=NOW)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            raise ZeroDivisionError  # the act that the code confirmed fails
        with pytest.raises(UsedCode):
            second_factor.confirm(user=owner, code=code, now=NOW)

    def test_keeps_a_wrong_guess(self, owner, device):
        with pytest.raises(WrongCode):
            second_factor.confirm(user=owner, code=wrong(device), now=NOW)
        assert standing(device)[1] == 1

    def test_refuses_to_be_part_of_another(self, owner, device):
        with pytest.raises(RuntimeError), transaction.atomic():
            second_factor.confirm(user=owner, code=code_of(device), now=NOW)
        assert standing(device) == (-1, 0, None)


class TestTotpDevice:
    def test_keeps_its_seed_encrypted_for_its_own_row(self, device):
        assert device.seed().hex() not in device.seed_ciphertext
        assert device.seed_ciphertext.startswith("v1.sandbox.")
        assert len(device.seed()) == 20

    def test_names_the_installation_and_the_person_to_the_authenticator(self, device):
        assert device.config_url() == (
            "otpauth://totp/Bursar%3Aowner%40shop.test"
            f"?secret={device.secret_for_people()}&issuer=Bursar&period=30"
        )

    def test_refuses_an_empty_seed_past_python(self, device):
        constraints.refused(
            "totp_device_has_a_seed",
            f"UPDATE merchants_totpdevice SET seed_ciphertext = '' WHERE id = {device.pk}",
        )

    def test_refuses_a_step_of_no_time_past_python(self, device):
        constraints.refused(
            "totp_device_step_is_positive", f"UPDATE merchants_totpdevice SET step = 0 WHERE id = {device.pk}"
        )
