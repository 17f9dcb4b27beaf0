# Says which of the files of byte code that stdin lists have a constant that isn't a number (NaN): which bits it has
# depends on the processor that computed it. All words end with a NUL but the last.
import sys

sys.path[:] = [p for p in sys.path if p not in ("", ".")]

import marshal

Code = type(compile("", "", "exec"))


def has_nan(constant):
    left = [constant]
    while left:
        one = left.pop()
        if isinstance(one, Code):
            left.extend(one.co_consts)
        elif isinstance(one, (tuple, frozenset)):
            left.extend(one)
        elif isinstance(one, slice):
            left.extend((one.start, one.stop, one.step))
        elif isinstance(one, complex):
            left.extend((one.real, one.imag))
        elif isinstance(one, float) and one != one:
            return True
    return False


answer = []
for path in sys.stdin.buffer.read().decode("utf-8").split("\0"):
    with open(path, "rb") as file:
        answer.append("1" if has_nan(marshal.loads(file.read()[16:])) else "0")
sys.stdout.write("\0".join(answer))
