#!/usr/bin/env python3
"""unpack-intel-opencl.py FOLDER WHEEL..: what OpenCL on a CPU needs of Intel's wheels, and an .icd file that names the driver.

The .icd file comes last: a folder that has it is complete. The loader that lies in the wheels is left there.
"""
import fnmatch
import os
import sys
import zipfile

NEEDED = ("libintelocl.so", "libcommon_clang.so.*", "cl*.rtl", "cllibrary*.o", "cl.cfg", "libocl_svml_*.so", "libimf.so",
          "libsvml.so", "libirng.so", "libintlc.so.5", "libtbb.so.12", "libtbbmalloc.so.2")


def main(folder: str, *wheels: str) -> None:
    os.makedirs(folder, exist_ok=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = os.path.basename(entry.filename)
                if any(fnmatch.fnmatch(name, pattern) for pattern in NEEDED):
                    with open(os.path.join(folder, name), "wb") as file:
                        file.write(archive.read(entry))
    with open(os.path.join(folder, "intel.icd"), "w", encoding="utf-8") as icd:
        icd.write(os.path.join(os.path.abspath(folder), "libintelocl.so") + "\n")


main(*sys.argv[1:])
