Account.objects.get(pk=given)  # bad
Account.objects.filter(currency="BTC").order_by("id").first()  # bad
Account.objects.select_related("merchant").all()  # bad
Account.objects.filter(merchant_id=given)  # bad
rows = Account._default_manager  # bad
get_object_or_404(Account, pk=given)  # bad
Posting.objects.filter(pk=given)  # bad
Merchant.objects.get(pk=given)  # bad
Account.objects.for_merchant(merchant).get(pk=given)
Account.objects.order_by("id").for_merchant(merchant).first()
Account.objects.create(merchant=merchant)
Account.objects.get_or_create(merchant=merchant, currency="BTC")
Account.objects.choose(merchant=merchant, currency="BTC")
Rate.objects.filter(currency="BTC")
