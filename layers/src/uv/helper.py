# Facts about the interpreter that uv installs for, seen as uv asks for them: isolated, without byte code.
import importlib.util
import json
import os
import sys
import sysconfig

umask = os.umask(0o022)
os.umask(umask)
version = "%d.%d.%d" % sys.version_info[:3]
if sys.version_info.releaselevel != "final":
    version += "-" + sys.version_info.releaselevel
virtual = sys.prefix != sys.base_prefix
names = sysconfig.get_scheme_names()
if virtual and "venv" in names:
    paths = sysconfig.get_paths(scheme="venv")
elif hasattr(sysconfig, "get_preferred_scheme"):
    paths = sysconfig.get_paths(scheme=sysconfig.get_preferred_scheme("prefix"))
else:
    paths = sysconfig.get_paths()
headers = paths["include"]
if virtual:
    headers = os.path.join(sys.prefix, "include", "site", "python%d.%d" % sys.version_info[:2])
scheme = {key: paths[key] for key in ("purelib", "platlib", "scripts", "data")}
scheme["headers"] = headers
json.dump(
    {
        "executable": sys.executable,
        "implementation": sys.implementation.name,
        "version": version,
        "cache_tag": sys.implementation.cache_tag or "",
        "abi": sysconfig.get_config_var("SOABI") or "",
        "magic": importlib.util.MAGIC_NUMBER.hex(),
        "prefix": sys.prefix,
        "virtual": virtual,
        "umask": umask,
        "root": os.geteuid() == 0 and os.getegid() == 0,
        "machine": os.uname().machine,
        "libc": os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None,
        "scheme": scheme,
        "real": {key: os.path.realpath(path) for key, path in scheme.items()},
    },
    sys.stdout,
)
