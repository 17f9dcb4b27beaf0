# For each pair of byte code files that stdin lists: is the code in them the same, and of the file that is named third?
# All words of stdin and stdout end with a NUL but the last.
import marshal
import sys


def code(path):
    with open(path, "rb") as file:
        return marshal.loads(file.read()[16:])


def same(one, other, shown):
    try:
        one, other = code(one), code(other)
    except Exception:
        return False
    return one == other and one.co_filename == other.co_filename == shown


words = iter(sys.stdin.buffer.read().decode("utf-8").split("\0"))
sys.stdout.write("\0".join("1" if same(*three) else "0" for three in zip(words, words, words)))
