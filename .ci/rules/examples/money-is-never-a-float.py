half = float(amount)  # bad
class Row(Model):
    price = FloatField()  # bad
net = amount * 0.99  # bad
gross = Money(1.5, "BTC")  # bad
def fee_for(amount: float) -> None: ...  # bad
near = round(amount, 2)  # bad
net = amount * Decimal("0.99")
gross = Money(Decimal("1.5"), "BTC")
def wait(seconds: float) -> None: ...
share = seconds / 2.0
