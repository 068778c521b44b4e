"""Every scenario by its name, in the order in which they run; a new one joins with a line here."""

from __future__ import annotations

from tests.soak import delivery, deposits, payout_controls, payouts
from tests.soak.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.promise: scenario
    for scenario in (
        *deposits.SCENARIOS,
        *delivery.SCENARIOS,
        *payouts.SCENARIOS,
        *payout_controls.SCENARIOS,
    )
}
