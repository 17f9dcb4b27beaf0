# Compiles the files that stdin lists and answers on stdout. Runs without site, so that nothing which is
# installed beside the interpreter takes part.
import sys

sys.path[:] = [p for p in sys.path if p not in ("", ".")]
sys.dont_write_bytecode = True

import importlib.util
import json
import py_compile
import sysconfig
import warnings

warnings.simplefilter("ignore")
request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
answer = {
    "version": "%d.%d.%d" % sys.version_info[:3],
    "cache_tag": sys.implementation.cache_tag,
    "abi": sysconfig.get_config_var("SOABI") or "",
    "magic": importlib.util.MAGIC_NUMBER.hex(),
    "compiled": [],
}
if all(answer[key] == value for key, value in request["expect"].items()):
    for number, (source, shown, target) in enumerate(request["files"]):
        try:
            py_compile.compile(
                source,
                cfile=target,
                dfile=shown,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
            )
        except (py_compile.PyCompileError, SyntaxError, UnicodeError):
            continue
        answer["compiled"].append(number)
sys.stdout.write(json.dumps(answer))
