"""Thin alarm clocks for the two queues: each drains for a few seconds by one verb.

The threads that run the deliveries know no time limit of Celery's; the connector's own deadline bounds
every post. The limits here are for the prefork worker, and for whoever reads them.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from callbacks import incoming
from callbacks.models import Health
from callbacks.outgoing import queue
from callbacks.outgoing.courier import Courier
from merchants import clock
from payments import doorbell
from payments.doorbell import Bell

PROCESS_INCOMING = doorbell.register(
    Bell(task="callbacks.tasks.process_incoming", queue="work", due_sql=incoming.DUE_SQL)
)
DELIVER = doorbell.register(
    Bell(
        task="callbacks.tasks.deliver",
        queue="deliver",
        due_sql=f"{queue.due_sql(Health.HEALTHY)} UNION ALL {queue.LOST_SQL}",
    )
)
DELIVER_SLOW = doorbell.register(
    Bell(task="callbacks.tasks.deliver_slow", queue="deliver_slow", due_sql=queue.due_sql(Health.FAILING))
)

LINGER_SECONDS = 0.2
"""At five events a second and more they find somebody who is looking."""


@shared_task(name=PROCESS_INCOMING.task, time_limit=60)
def process_incoming(**_ignored: Any) -> None:
    """Applies stored processor callbacks."""
    doorbell.drain(PROCESS_INCOMING, lambda: incoming.process(now=clock.now()), linger=LINGER_SECONDS)


@shared_task(name=DELIVER.task, time_limit=60)
def deliver(**_ignored: Any) -> None:
    """Delivers to the endpoints that answer."""
    with Courier(health=Health.HEALTHY) as courier:
        doorbell.drain(DELIVER, courier.step, linger=LINGER_SECONDS)


@shared_task(name=DELIVER_SLOW.task, time_limit=60)
def deliver_slow(**_ignored: Any) -> None:
    """Delivers to the endpoints whose last try failed."""
    with Courier(health=Health.FAILING) as courier:
        doorbell.drain(DELIVER_SLOW, courier.step)
