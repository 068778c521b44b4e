deliver.apply_async(countdown=20)  # bad
deliver.apply_async(eta=soon)  # bad
self.retry(exc=error)  # bad
@shared_task(name="a", autoretry_for=(OSError,))  # bad
def deliver(): ...
@shared_task(name="b", time_limit=60)
def sweep(): ...
deliver.apply_async(expires=30)
