a = json.loads(body)  # bad
b = json.load(file)  # bad
c = response.json()  # bad
from json import loads  # bad
import orjson  # bad
d = json.JSONDecoder(strict=False)  # bad
a = wire.parse_body(body)
b = json.dumps(body)
c = env.json("BURSAR_PROCESSORS")
