# Follows memo.py: what it remembers is what pip computes, in the environment that this runs in.
import sys

from pip._internal.metadata import get_default_environment
from pip._internal.resolution.resolvelib import factory
from pip._internal.resolution.resolvelib.provider import PipProvider


def seen(distribution):
    return {
        "headers": distribution.metadata.items(),
        "version": str(distribution.version),
        "dependencies": [str(found) for found in distribution.iter_dependencies()],
        "with extras": [str(found) for found in distribution.iter_dependencies(["more"])],
    }


def environment():
    return {found.canonical_name: found for found in get_default_environment().iter_all_distributions()}


class Requirement:
    asked = 0

    def is_satisfied_by(self, candidate):
        self.asked += 1
        return candidate == "newer"


def answers():
    """What a provider says to three pairs, each asked twice, and how often it had to look."""
    requirement, provider = Requirement(), object.__new__(PipProvider)
    pairs = [(requirement, candidate) for candidate in ("older", "newer", "newest")] * 2
    said = [provider.is_satisfied_by(requirement=one, candidate=other) for one, other in pairs]
    return said, requirement.asked


tags = factory.get_supported()
before = {name: seen(found) for name, found in environment().items()}
reported = {name: found.metadata_dict for name, found in environment().items()}
said, _ = answers()
assert said == [False, True, False] * 2, said
assert "alpha" in before and any(text.startswith("delta") for text in before["alpha"]["with extras"]), before

remember_pure()
report_names_only()

assert factory.get_supported() == tags
factory.get_supported().clear()
assert factory.get_supported() == tags
assert answers() == (said, 3), answers()
for name, found in environment().items():
    for _ in range(2):
        assert seen(found) == before[name], name
    full = reported[name]
    assert found.metadata_dict == {"name": full["name"], "version": full["version"]}, found.metadata_dict
    if sys.version_info >= (3, 11):
        assert found._dist.metadata is found._dist.metadata
print("remembered")
