deliver.delay()  # bad
deliver.apply_async(expires=30)  # bad
app.send_task("deliver")  # bad
transaction.on_commit(lambda: deliver.delay(7))  # bad
doorbell.ring_on_commit(DELIVER)
pause = faults.delay
