#!/usr/bin/env python3
"""Makes the Python environment that the tests of third-party clients run in.

    make_environment.py FOLDER

Does nothing where FOLDER holds what requirements.txt asks for. Ends with 77, which means "skipped", if the
package index cannot be had outside CI; inside it with 1.
"""

import os
import pathlib
import shutil
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
SKIPPED = 77


def main():
    folder = pathlib.Path(sys.argv[1])
    made_of = folder / "made-of.txt"
    wanted = REQUIREMENTS.read_text()
    if made_of.exists() and made_of.read_text() == wanted:
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    installed = subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check",
                                "--requirement", REQUIREMENTS], check=False)
    if installed.returncode:
        print(f"cannot install {REQUIREMENTS.name}: pip said why above", file=sys.stderr)
        return 1 if os.environ.get("CI") else SKIPPED
    made_of.write_text(wanted)
    return 0


sys.exit(main())
