"""The bill of materials of the build: valid, the same twice, and it names what the build links and what it consists of.
Arguments: the source and build folders."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path


def make(source, build, **environment):
    command = [sys.executable, source / "scripts" / "sbom.py", build]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout


def check_form(bill):
    """What SPDX 2.3 asks of every part; that identifiers are unique and relations lead to something."""
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0"
    assert re.fullmatch(r"https://[^#]+", bill["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bill["creationInfo"]["created"])
    assert bill["creationInfo"]["creators"][0].startswith("Tool: ")
    names = [bill["SPDXID"]] + [entry["SPDXID"] for entry in bill["packages"] + bill["files"]]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", name) for name in names)
    for package in bill["packages"]:
        assert package["name"] and package["licenseDeclared"] and package["copyrightText"] and package["downloadLocation"]
        assert package["filesAnalyzed"] == ("packageVerificationCode" in package)
    for relation in bill["relationships"]:
        assert relation["spdxElementId"] in names and relation["relatedSpdxElement"] in names, relation


def check_files(bill, source, build):
    sums = []
    for entry in bill["files"]:
        name = entry["fileName"].removeprefix("./")
        path = build / name.removeprefix("build/") if name.startswith("build/") else source / name
        given = {checksum["algorithm"]: checksum["checksumValue"] for checksum in entry["checksums"]}
        for algorithm in ("SHA1", "SHA256"):
            assert given[algorithm] == hashlib.new(algorithm, path.read_bytes()).hexdigest(), name
        sums.append(given["SHA1"])
    code = bill["packages"][0]["packageVerificationCode"]["packageVerificationCodeValue"]
    assert code == hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()
    names = {entry["fileName"] for entry in bill["files"]}
    assert {"./LICENSE", "./include/clmaml/clmaml.h", "./build/clmaml"} <= names and len(names) > 300


def check_libraries(bill, build):
    """All that ldd prints is a package; what is linked directly has a licence, and with dpkg a version."""
    packages = {package["name"]: package for package in bill["packages"]}
    paths = [path for path in (build / "clmaml", build / "libclmaml.so") if path.exists()]
    for path in paths:
        listing = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
        names = {Path(line.split()[0]).name for line in listing.splitlines() if "/" in line}
        names = {name for name in names if not name.startswith("libclmaml.")}
        assert len(names) > 5, listing
        assert names <= packages.keys(), names - packages.keys()
    relations = [relation for relation in bill["relationships"] if relation["relationshipType"] == "DYNAMIC_LINK"]
    direct = {relation["relatedSpdxElement"] for relation in relations}
    linked = [package for package in bill["packages"] if package["SPDXID"] in direct]
    assert {"libOpenCL.so.1", "libjansson.so.4", "libc.so.6"} <= {package["name"] for package in linked}
    for package in linked:
        assert package["licenseDeclared"] != "NOASSERTION", f"{package['name']}: scripts/sbom.py has no licence of it"
    assert {"CLBlast", "clFFT"} <= packages.keys()


def main():
    source, build = Path(sys.argv[1]), Path(sys.argv[2])
    text = make(source, build, SOURCE_DATE_EPOCH="1000000000")
    assert text == make(source, build, SOURCE_DATE_EPOCH="1000000000")
    bill = json.loads(text)
    version = re.search(r"project\(clMAML VERSION (\S+)", (source / "CMakeLists.txt").read_text()).group(1)
    main_package = bill["packages"][0]
    assert (main_package["name"], main_package["versionInfo"], main_package["licenseDeclared"]) == ("clMAML", version, "MIT")
    assert bill["creationInfo"]["created"] == "2001-09-09T01:46:40Z"
    check_form(bill)
    check_files(bill, source, build)
    check_libraries(bill, build)
    nowhere = subprocess.run([sys.executable, source / "scripts" / "sbom.py", source / "docs"], capture_output=True, text=True)
    assert nowhere.returncode == 1 and "there is no program in" in nowhere.stderr


main()
