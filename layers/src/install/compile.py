# Compiles the files that stdin lists and answers on stdout; all words of both end with a NUL but the last. Runs
# without site, so that nothing which is installed beside the interpreter takes part. Imports only what is built in:
# that starts in a third of the time, and what a process has loaded can show in the bytes of what it compiles.
import sys

sys.path[:] = [p for p in sys.path if p not in ("", ".")]

import _imp
import _io
import _warnings
import gc
import posix
from _frozen_importlib_external import MAGIC_NUMBER, _code_to_timestamp_pyc


def abi(expected):
    if _imp.extension_suffixes()[0] == "." + expected + ".so":
        return expected
    import sysconfig

    return sysconfig.get_config_var("SOABI") or ""


def byte_code(source, shown):
    with _io.FileIO(source) as file:
        text = file.readall()
        mtime = posix.fstat(file.fileno()).st_mtime
    try:
        code = compile(text, shown, "exec", dont_inherit=True, optimize=-1)
    except Exception:
        # Whatever the compiler raises; py_compile, which installers use, takes it the same way.
        return None
    return _code_to_timestamp_pyc(code, mtime, len(text))


def write(target, data):
    try:
        file = _io.FileIO(target, "x")
    except FileNotFoundError:
        try:
            posix.mkdir(target.rpartition("/")[0])
        except FileExistsError:
            pass
        file = _io.FileIO(target, "x")
    with file:
        if file.write(data) != len(data):
            raise OSError("%s was written in part only" % target)


# Compiling leaves no cycles behind.
gc.disable()
# In effect until somebody imports `warnings`, which nobody does.
_warnings.filters.insert(0, ("ignore", None, Warning, None, 0))
request = sys.stdin.buffer.read().decode("utf-8").split("\0")
answer = [
    "%d.%d.%d" % sys.version_info[:3],
    sys.implementation.cache_tag or "",
    abi(request[2]),
    MAGIC_NUMBER.hex(),
]
if answer == request[:4]:
    words = iter(request[4:])
    for source, shown, target in zip(words, words, words):
        data = byte_code(source, shown)
        if data is not None:
            write(target, data)
        answer.append("0" if data is None else "1")
sys.stdout.write("\0".join(answer))
