# For each pair of byte code files that stdin lists: is the code in them the same, and of the file that is named third?
# All words of stdin and stdout end with a NUL but the last.
import marshal
import sys


def code(path):
    with open(path, "rb") as file:
        return marshal.loads(file.read()[16:])


def lines(code):
    return code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab


def equal(one, other, shown):
    if one != other or lines(one) != lines(other) or not one.co_filename == other.co_filename == shown:
        return False
    pairs = zip(one.co_consts, other.co_consts)
    return all(equal(a, b, shown) for a, b in pairs if isinstance(a, type(one)))


def same(one, other, shown):
    try:
        return equal(code(one), code(other), shown)
    except Exception:
        return False


words = iter(sys.stdin.buffer.read().decode("utf-8").split("\0"))
sys.stdout.write("\0".join("1" if same(*three) else "0" for three in zip(words, words, words)))
