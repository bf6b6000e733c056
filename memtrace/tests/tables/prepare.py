"""Makes an environment with what reads Parquet and checks manifests in the tests: prepare.py [--check] DIRECTORY

Prints what is in it. Does nothing where all is there already; with --check never does more than look.
"""

import pathlib
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
# What the tests use; the rest is what these need.
USED = {"chdb": "chdb-core", "duckdb": "duckdb", "kubernetes_validate": "kubernetes-validate", "pyarrow": "pyarrow"}


def found(python, wanted):
    """Whether these very versions are there, and can be loaded."""
    if not python.exists():
        return False
    names = [line.split("==")[0] for line in wanted]
    program = f"import {', '.join(USED)}\nfrom importlib.metadata import version\n" + "\n".join(
        f"print('{name}==' + version('{name}'))" for name in names
    )
    result = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return result.returncode == 0 and result.stdout.split() == wanted


def main():
    is_check = sys.argv[1] == "--check"
    directory = pathlib.Path(sys.argv[-1])
    python = directory / "bin" / "python"
    wanted = REQUIREMENTS.read_text().split()
    if not found(python, wanted):
        if is_check:
            sys.exit("it is not there")
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", REQUIREMENTS]
        subprocess.run(install, check=True)
        if not found(python, wanted):
            sys.exit("it was installed, but cannot be loaded")
    print(", ".join(line.replace("==", " ") for line in wanted if line.split("==")[0] in USED.values()))


main()
