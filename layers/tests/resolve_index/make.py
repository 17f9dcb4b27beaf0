"""Writes a small static package index (PEP 503) of generated wheels into the directory given as argument."""

import base64
import hashlib
import io
import os
import sys
import tarfile
import zipfile

root = sys.argv[1]
files = os.path.join(root, "files")
os.makedirs(files)
links = {}


def publish(project, name, data, attributes="", digest=True):
    with open(os.path.join(files, name), "wb") as out:
        out.write(data)
    fragment = "#sha256=" + hashlib.sha256(data).hexdigest() if digest else ""
    link = '<a href="../../files/%s%s"%s>%s</a><br>\n' % (name, fragment, attributes, name)
    links.setdefault(project, []).append(link)


def wheel(project, version, requires=(), extras={}, digest=True, metadata_only=False):
    info = "%s-%s.dist-info/" % (project, version)
    metadata = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (project, version)
    metadata += "".join("Requires-Dist: %s\n" % text for text in requires)
    for extra, needed in extras.items():
        metadata += "Provides-Extra: %s\n" % extra
        metadata += "".join('Requires-Dist: %s; extra == "%s"\n' % (text, extra) for text in needed)
    content = {
        project + "/__init__.py": "VERSION = %r\n" % version,
        info + "METADATA": metadata,
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "entry_points.txt": "[console_scripts]\n%s = %s:VERSION.strip\n" % (project, project),
    }
    record = ""
    for path, text in content.items():
        digest_ = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\n" % (path, digest_, len(text))
    content[info + "RECORD"] = record + info + "RECORD,,\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    name = "%s-%s-py3-none-any.whl" % (project, version)
    attributes = ""
    if metadata_only:
        attributes = ' data-dist-info-metadata="sha256=%s"' % hashlib.sha256(metadata.encode()).hexdigest()
        attributes += attributes.replace("dist-info", "core")
        with open(os.path.join(files, name + ".metadata"), "w") as out:
            out.write(metadata)
    publish(project, name, data.getvalue(), attributes, digest)


wheel("alpha", "1.0", ["beta>=1", "gamma", "absent; sys_platform == 'win32'"], {"more": ["delta"]})
wheel("alpha", "2.0rc1", ["beta>=2"])
wheel("beta", "1.0")
wheel("beta", "2.0", ["gamma"])
wheel("gamma", "1.0")
wheel("delta", "1.0", ["alpha"])
wheel("nohash", "1.0", digest=False)
wheel("lazy", "1.0", ["lazy_dep"], metadata_only=True)
wheel("lazy_dep", "1.0", metadata_only=True)
wheel("picky", "1.0", ["beta<2"])
wheel("Mixed_Case.name", "1.0")
wheel("wantsnone", "1.0", ["nowhere"])
# A source distribution that needs nothing from anywhere to be built.
backend = """
import os
INFO = "Metadata-Version: 2.1\\nName: source\\nVersion: 1.0\\n"
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    os.mkdir(directory + "/source-1.0.dist-info")
    with open(directory + "/source-1.0.dist-info/METADATA", "w") as out:
        out.write(INFO)
    return "source-1.0.dist-info"
def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit(1)
"""
content = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: source\nVersion: 1.0\n",
    "backend.py": backend,
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
}
data = io.BytesIO()
with tarfile.open(fileobj=data, mode="w:gz") as archive:
    for path, text in content.items():
        entry = tarfile.TarInfo("source-1.0/" + path)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
publish("source", "source-1.0.tar.gz", data.getvalue())

for project, found in links.items():
    directory = os.path.join(root, "simple", project.lower().replace("_", "-").replace(".", "-"))
    os.makedirs(directory)
    with open(os.path.join(directory, "index.html"), "w") as out:
        out.write("<!DOCTYPE html><html><body>\n" + "".join(found) + "</body></html>\n")
