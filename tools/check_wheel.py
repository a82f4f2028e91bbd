"""Build the wheel and use it in an environment that has no checkout.

    python -m tools.check_wheel --store models

The environment is new. It holds the wheel, and sees the dependencies that are installed here; nothing is fetched.
In it run the commands' help, three lines of Python that score with a model of a store, and a short demo.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# `streamscore.testing` draws the events, so no file is needed.
LINES = """
import sys, streamscore, streamscore.testing
model = streamscore.load_model(sys.argv[1], "transaction")
print(model.score(streamscore.testing.events_of(model.event_type, 3, seed=1), reasons=True))
"""


def built(folder: Path) -> Path:
    """The wheel of this checkout; SystemExit when either package lacks its `py.typed`."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    missing = {"streamscore/py.typed", "trainer/py.typed"} - set(zipfile.ZipFile(wheel).namelist())
    if missing:
        raise SystemExit(f"{wheel.name} lacks {sorted(missing)}")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """The folder of commands of a new environment with the wheel in it."""
    venv.create(folder, with_pip=True)
    commands = folder / "bin"
    install = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, env=bare_environment())
    # After the install: pip would take the checkout's own installation for one to replace. A path in such a file is
    # searched, and the path files in it are not read, so the checkout stays out of sight.
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return commands


def bare_environment() -> dict[str, str]:
    """This environment without what would lead Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def check(commands: Path, folder: Path, store: Path | None, demo: bool) -> None:
    """Run what a user runs first, in an empty folder. CalledProcessError when something fails."""

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [commands / command[0], *command[1:]],
            cwd=folder, env=bare_environment(), check=True, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        return done.stdout

    where = run("python", "-c", "import streamscore, trainer; print(streamscore.__file__, trainer.__file__)")
    if str(ROOT / "streamscore") in where or str(commands.parent) not in where:
        raise SystemExit(f"the wheel is not what is imported: {where}")
    for command in ("streamscore", "trainer"):
        print(run(command, "--help").splitlines()[0])
    if store is not None:
        print(run("python", "-c", LINES, store.resolve()))
    if demo:
        print(run("streamscore", "demo", "--duration", "5", "--plain").splitlines()[-1])


def main() -> None:
    """Build, install and check; exit 0 when all of it worked."""
    parser = argparse.ArgumentParser(description="Build the wheel and use it in an environment without a checkout.")
    parser.add_argument("--store", type=Path, help="A model store with a champion for transactions, to score with.")
    parser.add_argument("--no-demo", action="store_true", help="Leave the demo out; it takes a minute or two.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wheel").mkdir()
        (folder / "work").mkdir()
        commands = installed(built(folder / "wheel"), folder / "environment")
        check(commands, folder / "work", options.store, not options.no_demo)


if __name__ == "__main__":
    main()
