# Spares pip's resolver what it computes over and over: functions whose result depends on nothing but their
# arguments, and which pip's later releases remember themselves. A pip that has one of them in another shape, or that
# keeps the results, is left as it is.


def remembered(compute, *things):
    """compute(*things), once for these very objects."""
    key = (compute,) + tuple(map(id, things))
    found = remembered.results.get(key)
    if found is None:
        # The objects are kept as well, so that no other one gets their id.
        found = remembered.results[key] = (compute(*things), things)
    return found[0]


remembered.results = {}


def remember_pure():
    import functools
    from types import FunctionType

    from pip._internal.index import package_finder
    from pip._internal.resolution.resolvelib import factory, provider

    # The tags of this interpreter: a list of the caller's own, of tags that don't change.
    supported = vars(factory).get("get_supported")
    if isinstance(supported, FunctionType):
        tags = functools.lru_cache(maxsize=None)(lambda: tuple(supported()))

        def get_supported(*args, **kwargs):
            return supported(*args, **kwargs) if args or kwargs else list(tags())

        factory.get_supported = get_supported

    # Whether a release is for this Python, by two texts of numbers. pip itself remembers it since 25.0.
    if isinstance(vars(package_finder).get("check_requires_python"), FunctionType):
        check = functools.lru_cache(maxsize=None)(package_finder.check_requires_python)
        package_finder.check_requires_python = check

    # Whether a candidate satisfies a requirement: a comparison of versions, of two objects that are not changed
    # once they are made. pip itself remembers it since 24.1.
    satisfies = vars(provider.PipProvider).get("is_satisfied_by")
    if isinstance(satisfies, FunctionType):

        def is_satisfied_by(self, requirement, candidate):
            return remembered(satisfies, self, requirement, candidate)

        provider.PipProvider.is_satisfied_by = is_satisfied_by

    # What follows is of the backend that reads metadata with the standard library, as on Python 3.11 and later.
    try:
        from importlib.metadata import Distribution

        from pip._internal.metadata.importlib import _dists
    except ImportError:
        return
    # The metadata of one distribution, parsed. Its file is written once, before there is such an object. All that
    # pip adds to what it gets are dependencies that stand elsewhere, if there are none: twice is as good as once.
    shape = vars(Distribution).get("metadata")
    if isinstance(shape, property) and isinstance(shape.fget, FunctionType):
        read = shape.fget
        Distribution.metadata = property(lambda self: remembered(read, self))
    # A parsed dependency, which pip only reads. It shares them itself since 24.2.
    if "get_requirement" not in vars(_dists) and isinstance(vars(_dists).get("Requirement"), type):
        _dists.Requirement = functools.lru_cache(maxsize=None)(_dists.Requirement)


def report_names_only():
    """Leaves out of pip's report what nobody reads: the rest of the metadata, with the whole descriptions."""
    import email.message

    from pip._internal.metadata import base

    def metadata_dict(self):
        metadata = email.message.Message()
        for field in ("Name", "Version"):
            if field in self.metadata:
                metadata[field] = self.metadata[field]
        return base.msg_to_json(metadata)

    shape = vars(base.BaseDistribution).get("metadata_dict")
    if isinstance(shape, property) and callable(vars(base).get("msg_to_json")):
        base.BaseDistribution.metadata_dict = property(metadata_dict)
