log.info("made %s", secret)  # bad
log.warning(f"{key.secret()} refused")  # bad
print(password)  # bad
raise Refused(f"no {api_secret}")  # bad
audit.record(act="keys.activate", after={"secret": secret})  # bad
messages.success(request, f"The seed is {device.seed}")  # bad
@dataclass
class Made:
    key: str
    secret: str  # bad
@dataclass
class Kept:
    secret: str = field(repr=False)
@dataclass(repr=False)
class Silent:
    password: str
log.info("made %s", key.public_key)
raise NoSecret(key=key.short)
audit.record(act="keys.activate", after=key.facts())
