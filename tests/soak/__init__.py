"""The soak: proofs of the promises under kill -9, cut lines, dead databases and dead brokers.

`./bursar soak` tries each at the size of CI, `--full` at the size that the promise names; `--seed` replays a
plan; `--defect` breaks Bursar first. What a run stands on:

- `world`: an installation of real processes, each a database user of its own, behind `proxy`, on a durable
  PostgreSQL that can be stopped on the spot; it starts again what was killed.
- `nemesis`: harm on a schedule drawn from the seed. `books`: the ledger's invariants, every 5 s.
- `upstream`: the scripted processor, which tells `story` and keeps the log; `oracle`: what must follow from
  that log; `held`: what Bursar holds, beside it. `report`: the table.
- `payer`: the scripted processor that is ordered to pay, by `orders`, and keeps a log of what it paid;
  `payout_oracle`, `payout_held`: as above. `payout_clock` lets the waits between questions be over soon.

A scenario is a function from a `Trial` to a `Verdict`, and a line in `scenarios.SCENARIOS`:

    def kills_while_converting(trial):
        verdict = Verdict("R15", f"{trial.size['exchanges']} exchanges, workers killed")
        shops = trial.world.stage(story.shops_for(f"R15 shop {trial.number}"))
        nemesis = Nemesis(trial.world, Plan(0.7, [(kill_a_worker, 1.0)]), trial.chance("nemesis"), diary)
        with nemesis.at_work():
            ...                                    # what the merchants and the upstream do
        verdict.demand(done <= asked, "converted twice")   # what the oracle says
        return verdict

    Scenario("R15", "state machines are closed", small={"exchanges": 20},
             full={"exchanges": 500}, run=kills_while_converting)

A program that only some scenarios need, as the sender, is started by them: `world.start("sender")`.

All scenarios of one command share an installation: one makes merchants of its own, takes its ids from
`trial.number`, judges nothing but those, and leaves nothing waiting. Its chance comes from `trial.chance`
alone. `play.Play` is the pattern for whatever the upstream tells, `payout_play.PayoutPlay` for payouts. A
promise is only proved by a defect that breaks it: see `defects`.
"""
