#!/usr/bin/env python3
"""The bill of materials of a build as SPDX 2.3 in JSON: the project, its sources and what was built of them with their hashes,
and the libraries that the program and the library link with, their own libraries included, and those they look for as they run.

    scripts/sbom.py [BUILD] [--out FILE]      BUILD: a build folder, `build` unless it is given

Which libraries these are, readelf and ldd say; their versions, dpkg; their licences, the table below. What is not known stays
NOASSERTION. SOURCE_DATE_EPOCH is the time in the document, when it is set: the same build then gives the same bytes.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("CMakeLists.txt", "LICENSE", "cmake", "include", "kernels", "src", "bench/peers")
# soname up to its number, project, licence; the Debian package, where others give a library of that name too
LIBRARIES = (
    ("libOpenCL.so", "ocl-icd", "BSD-2-Clause", "ocl-icd-libopencl1"),
    ("libjansson.so", "jansson", "MIT", None),
    ("libzip.so", "libzip", "BSD-3-Clause", None),
    ("libpng16.so", "libpng", "libpng-2.0", None),
    ("libjpeg.so", "libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib", "libjpeg62-turbo"),
    ("libwebp.so", "libwebp", "BSD-3-Clause", None),
    ("libsharpyuv.so", "libwebp", "BSD-3-Clause", None),
    ("libgif.so", "giflib", "MIT", None),
    ("libc.so", "glibc", "LGPL-2.1-or-later", None),
    ("libm.so", "glibc", "LGPL-2.1-or-later", None),
    ("libdl.so", "glibc", "LGPL-2.1-or-later", None),
    ("libpthread.so", "glibc", "LGPL-2.1-or-later", None),
    ("ld-linux", "glibc", "LGPL-2.1-or-later", None),
    ("libz.so", "zlib", "Zlib", None),
    ("libbz2.so", "bzip2", "bzip2-1.0.6", None),
    ("libcrypto.so", "openssl", "Apache-2.0", None),
)
# What is looked for at run time: project, licence, Debian package.
OPTIONAL = (("CLBlast", "Apache-2.0", "libclblast1"), ("clFFT", "Apache-2.0", "libclfft2"))


def output(*command):
    """What a command prints; nothing when it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    except FileNotFoundError:
        return ""


def needed(path):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", str(path)))


def linked(path):
    """Path of every shared library that the loader would take for `path`, by soname."""
    found = {}
    for line in output("ldd", str(path)).splitlines():
        match = re.match(r"\s*(\S+) => (/\S+)|\s*(/\S+) \(", line)
        if match:
            file = match.group(2) or match.group(3)
            found[Path(match.group(1) or file).name] = Path(file)
    return found


def owners(paths):
    """Package and version of files, as far as dpkg knows them."""
    names = {}  # what dpkg may call a file: as found, what it leads to, and either below /usr or not
    for path in paths:
        for name in (str(path), str(path.resolve())):
            names.update({name: path, re.sub("^/usr/", "/", name): path, re.sub("^/lib", "/usr/lib", name): path})
    found = {}
    for line in output("dpkg-query", "-S", *names).splitlines():
        packages, _, name = line.rpartition(": ")
        if name in names:
            found[names[name]] = packages.split(",")[0]
    versions = installed(set(found.values()))
    return {path: versions[package] for path, package in found.items() if package in versions}


def installed(packages):
    """Name and version of those that are installed."""
    rows = output("dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${db:Status-Status}\n", *packages)
    table = {}
    for line in rows.splitlines():
        fields = line.split()
        if fields[3:] == ["installed"]:
            table[fields[0]] = table[f"{fields[0]}:{fields[1]}"] = (fields[0], fields[2])
    return table


def distribution():
    release = Path("/etc/os-release")
    match = re.search(r'^ID="?([a-z0-9.-]+)', release.read_text() if release.exists() else "", re.M)
    return match.group(1) if match else "debian"


def identifier(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(words))


def package(name, kind, licence, deb, deb_version):
    entry = {
        "SPDXID": identifier(kind, name),
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
    }
    if deb:
        entry["versionInfo"] = deb_version
        locator = f"pkg:deb/{distribution()}/{deb}@{deb_version.replace('+', '%2B').replace(':', '%3A')}"
        entry["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}
        ]
    return entry


def library(soname, deb, deb_version):
    """The package of a shared library, whose name is the soname: a project may have several."""
    for prefix, project, licence, only in LIBRARIES:
        if soname.startswith(prefix) and only in (None, deb):
            return {**package(soname, "Library", licence, deb, deb_version), "summary": f"a library of {project}"}
    return package(soname, "Library", "NOASSERTION", deb, deb_version)


def files(build, built):
    """Sources and what was built, with hashes."""
    paths = []
    for source in SOURCES:
        path = ROOT / source
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.parent.name != "__pycache__")
        paths += inside if path.is_dir() else [path]
    names = [(str(p.relative_to(ROOT)), p, "SOURCE") for p in paths]
    names += [(f"build/{p.relative_to(build)}", p, "BINARY") for p in built]
    entries = []
    for name, path, kind in names:
        data = path.read_bytes()
        entries.append(
            {
                "SPDXID": identifier("File", hashlib.sha1(name.encode()).hexdigest()[:16]),
                "fileName": f"./{name}",
                "fileTypes": [kind],
                "checksums": [
                    {"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                    {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()},
                ],
                "licenseConcluded": "MIT",
                "licenseInfoInFiles": ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            }
        )
    return entries


def project(contents):
    head = re.search(r"project\((\S+) VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    licence = (ROOT / "LICENSE").read_text()
    sums = sorted(entry["checksums"][0]["checksumValue"] for entry in contents)
    return {
        **package(head.group(1), "Package", "MIT" if licence.startswith("MIT License") else "NOASSERTION", None, None),
        "versionInfo": head.group(2),
        "copyrightText": re.search(r"^Copyright.*$", licence, re.M).group(0),
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()},
        "licenseInfoFromFiles": ["NOASSERTION"],
        "primaryPackagePurpose": "LIBRARY",
    }


def relation(first, kind, second):
    return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}


def document(build):
    # A link and what it leads to are one file; a static library links nothing itself.
    built = sorted({p.resolve() for p in (build / "clmaml", build / "libclmaml.so", build / "libclmaml.a") if p.exists()})
    if not (build / "clmaml").exists():
        sys.exit(f"sbom: there is no program in {build}; build it first")
    paths = linked(build / "clmaml")
    if not paths:
        sys.exit("sbom: ldd tells no libraries of the program; it and readelf are needed")
    ours = [soname for soname in paths if soname.startswith("libclmaml.")]
    contents = files(build.resolve(), built)
    main = project(contents)
    packages, relations = [main], [relation("SPDXRef-DOCUMENT", "DESCRIBES", main["SPDXID"])]
    relations += [relation(main["SPDXID"], "CONTAINS", entry["SPDXID"]) for entry in contents]
    direct = {soname for path in built for soname in needed(path)} - set(ours)
    debs = owners(paths.values())
    for soname in sorted(set(paths) - set(ours)):
        entry = library(soname, *debs.get(paths[soname], (None, None)))
        packages.append(entry)
        if soname in direct:
            relations.append(relation(main["SPDXID"], "DYNAMIC_LINK", entry["SPDXID"]))
        for other in sorted(set(needed(paths[soname])) & set(paths)):
            relations.append(relation(entry["SPDXID"], "DEPENDS_ON", identifier("Library", other)))
    optional = installed(deb for _, _, deb in OPTIONAL)
    for name, licence, deb in OPTIONAL:
        entry = package(name, "Optional", licence, *optional.get(deb, (None, None)))
        entry["summary"] = "used where it is installed"
        packages.append(entry)
        relations.append(relation(entry["SPDXID"], "OPTIONAL_DEPENDENCY_OF", main["SPDXID"]))
    name = f"{main['name']}-{main['versionInfo']}"
    code = main["packageVerificationCode"]["packageVerificationCodeValue"]
    created = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{code}",
        "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", created), "creators": ["Tool: scripts/sbom.py"]},
        "packages": packages,
        "files": contents,
        "relationships": relations,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", nargs="?", default=ROOT / "build", type=Path, help="the build folder [build]")
    parser.add_argument("--out", type=Path, help="the file to write; default: the standard output")
    arguments = parser.parse_args()
    text = json.dumps(document(arguments.build), indent=2) + "\n"
    if arguments.out:
        arguments.out.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
