import pickle  # bad
import marshal  # bad
from shelve import open as opened  # bad
a = eval(text)  # bad
exec(text)  # bad
b = yaml.load(text, Loader=yaml.Loader)  # bad
c = __import__(name)  # bad
b = yaml.safe_load(text)
a = ast.literal_eval(text)
d = pattern.exec
