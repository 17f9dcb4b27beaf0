# Runs pip's own resolver in the state before a step, in one process with what else must be known of it.
# Arguments: answer file, pip's script or "" for `-m pip`, where it installs to (JSON), the lock's stubs of wheels (JSON) or
# "", then pip's arguments.
# The answer is JSON and only facts; the judging is done by the caller.
import sys

answer, script, target, stubs = sys.argv[1:5]
arguments = sys.argv[5:]
# The module search path that pip would have: a script's own directory, or none for `-m pip`, which
# takes the working directory off again.
if script:
    import os

    sys.path[0] = os.path.dirname(os.path.realpath(script))
    sys.argv = [script] + arguments
else:
    del sys.path[0]
    sys.argv = ["pip"] + arguments

import importlib.util
import json
import os
import re
import site
import sysconfig

facts = {"executable": sys.executable, "implementation": sys.implementation.name}


def write():
    with open(answer, "w", encoding="utf-8") as out:
        json.dump(facts, out)


def flatten(items):
    # By key up to pip 25.2, and by file and key since.
    for key, value in items:
        if isinstance(value, dict):
            yield from value.items()
        else:
            yield key, value


def describe():
    import pip
    from pip._internal.configuration import Configuration
    from pip._internal.locations import get_scheme

    umask = os.umask(0o022)
    os.umask(umask)
    version = "%d.%d.%d" % sys.version_info[:3]
    if sys.version_info.releaselevel != "final":
        version += "-" + sys.version_info.releaselevel
    stdlib = sysconfig.get_path("stdlib")
    dummy = "plinth-dummy"
    scheme = get_scheme(dummy, **json.loads(target))
    scheme = {key: getattr(scheme, key) for key in ("purelib", "platlib", "headers", "scripts", "data")}
    headers, name = os.path.split(scheme["headers"])
    scheme["headers"] = headers if name == dummy else ""
    configuration = Configuration(isolated=False)
    configuration.load()
    customized = [sys.modules[name] for name in ("sitecustomize", "usercustomize") if name in sys.modules]
    netrc = [os.environ.get("NETRC"), os.path.expanduser("~/.netrc"), os.path.expanduser("~/_netrc")]
    facts.update(
        version=version,
        cache_tag=sys.implementation.cache_tag or "",
        abi=sysconfig.get_config_var("SOABI") or "",
        magic=importlib.util.MAGIC_NUMBER.hex(),
        prefix=sys.prefix,
        base_prefix=sys.base_prefix,
        optimize=sys.flags.optimize,
        stdlib=stdlib,
        umask=umask,
        # The group as well: new files get it, and the image's own files say which one it is.
        root=os.geteuid() == 0 and os.getegid() == 0,
        pip_version=pip.__version__,
        pip_directory=os.path.dirname(os.path.dirname(os.path.abspath(pip.__file__))),
        scheme=scheme,
        real={key: os.path.realpath(path) for key, path in scheme.items()},
        sites=site.getsitepackages() if hasattr(site, "getsitepackages") else [],
        customized=[getattr(module, "__file__", None) or "" for module in customized],
        externally_managed=sys.prefix == sys.base_prefix
        and os.path.exists(os.path.join(stdlib, "EXTERNALLY-MANAGED")),
        config=[
            {
                "key": key,
                "set": bool(value) and str(value).lower() not in ("0", "n", "no", "f", "false", "off"),
                "credentials": bool(re.search(r"://[^/?#\s]*@", str(value))),
            }
            for key, value in sorted(flatten(configuration.items()))
        ],
        netrc=any(path and os.path.exists(path) for path in netrc),
        stubs=False,
    )
    return list(flatten(configuration.items()))


def take_stubs(configuration):
    """Points pip to the lock's stubs in place of the index, if what it would find there is what they stand for."""
    wanted = json.loads(stubs)
    conditions = wanted["conditions"]
    index = conditions["default_index"]
    for section in ("global", "install", ":env:"):
        for key, value in configuration:
            if key in (section + "." + name for name in ("extra-index-url", "find-links", "no-index", "no-binary")):
                return False
            if key == section + ".index-url":
                index = value
    machine = os.uname().machine
    glibc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    if (
        index.rstrip("/") != conditions["index"]
        or machine != conditions["machine"]
        or glibc != "glibc " + conditions["glibc"]
    ):
        return False
    # Behind `install`, where the caller put it.
    at = arguments.index("--dry-run")
    arguments[at:at] = ["--no-index", "--find-links", wanted["directory"]]
    return True


def watch(resolved):
    """Keeps the resolver and its answer, and what it knows of a wheel without having the wheel."""
    from pip._internal.operations.prepare import RequirementPreparer
    from pip._internal.resolution.resolvelib.resolver import Resolver
    from pip._internal.utils.direct_url_helpers import direct_url_from_link

    resolve = Resolver.resolve
    prepare = RequirementPreparer.prepare_linked_requirement
    more = RequirementPreparer.prepare_linked_requirements_more

    def keep(self, *args, **kwargs):
        answer = resolve(self, *args, **kwargs)
        resolved.append((self, answer))
        return answer

    def remember(self, requirement, *args, **kwargs):
        distribution = prepare(self, requirement, *args, **kwargs)
        requirement.plinth_distribution = distribution
        return distribution

    def skip_pinned(self, requirements, *args, **kwargs):
        # The index gave the metadata and the SHA-256 of these: the wheel itself would only be thrown
        # away at the end of a dry run, and is fetched by that checksum later.
        rest = []
        for requirement in requirements:
            link = requirement.link
            distribution = getattr(requirement, "plinth_distribution", None)
            if (
                requirement.needs_more_preparation
                and distribution is not None
                and requirement.download_info is None
                and link.is_wheel
                and link.scheme in ("http", "https")
                and link.hash_name == "sha256"
                and link.hash
            ):
                requirement.download_info = direct_url_from_link(link, requirement.source_dir)
                requirement.get_dist = lambda distribution=distribution: distribution
                requirement.needs_more_preparation = False
            else:
                rest.append(requirement)
        return more(self, rest, *args, **kwargs)

    Resolver.resolve = keep
    RequirementPreparer.prepare_linked_requirement = remember
    RequirementPreparer.prepare_linked_requirements_more = skip_pinned


def old_direct_url(item):
    """What pip before 23.1 writes as direct_url.json. Later ones write what they report."""
    import pip

    if not item.original_link or tuple(int(part) for part in pip.__version__.split(".")[:2]) >= (23, 1):
        return None
    from pip._internal.utils.direct_url_helpers import direct_url_from_link

    return direct_url_from_link(item.original_link, item.source_dir, item.original_link_is_in_wheel_cache).to_json()


def lacks_an_extra(resolver):
    """Whether something asks for an extra that its distribution doesn't say it has. pip only warns then. A stub has the
    extras that somebody asked for when the lock was made; what is installed already may ask for others."""
    from pip._vendor.packaging.utils import canonicalize_name

    for candidate in resolver._result.mapping.values():
        base = getattr(candidate, "base", None)
        if base is None:
            continue
        provided = {canonicalize_name(extra) for extra in base.dist.iter_provided_extras()}
        if not {canonicalize_name(extra) for extra in candidate.extras} <= provided:
            return True
    return False


def conclude(resolver, answer):
    from pip._internal.metadata import get_default_environment
    from pip._vendor.packaging.utils import canonicalize_name

    installed = {}
    for dist in get_default_environment().iter_all_distributions():
        installed.setdefault(dist.canonical_name, []).append(dist)
    facts["order"] = [
        {
            "name": canonicalize_name(item.name),
            "spelling": item.name,
            "replaces": bool(item.should_reinstall),
            "direct_url": old_direct_url(item),
        }
        for item in resolver.get_installation_order(answer)
    ]
    new = {item["name"] for item in facts["order"]}
    facts["installed"] = [
        {
            "name": dist.raw_name,
            "canonical": dist.canonical_name,
            "version": str(dist.version),
            "location": dist.location or "",
            "info": dist.info_location or "",
            "local": bool(dist.local),
            "user": bool(dist.in_usersite),
        }
        for name in sorted(new)
        for dist in installed.get(name, [])
    ]
    facts["satisfied"] = sorted(
        {
            "%s %s" % (candidate.project_name, candidate.version)
            for candidate in resolver._result.mapping.values()
            if not candidate.name.startswith("<") and canonicalize_name(candidate.project_name) not in new
        }
    )


code = 1
try:
    configuration = describe()
    facts["stubs"] = bool(stubs) and take_stubs(configuration)
    resolved = []
    watch(resolved)
    try:
        remember_pure()
        report_names_only()
    except (AttributeError, ImportError):
        # A pip that is built in another way: it only takes longer.
        pass
    from pip._internal.cli.main import main

    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    if not code:
        if len(resolved) != 1:
            raise RuntimeError("%d resolutions" % len(resolved))
        if facts["stubs"] and lacks_an_extra(resolved[0][0]):
            # No answer: the index has one.
            code = 1
        else:
            conclude(*resolved[0])
except Exception as error:
    facts["error"] = type(error).__name__
    import traceback

    traceback.print_exc()
facts["code"] = code or 0
write()
