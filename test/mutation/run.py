"""Mutation test of the safety gate: does every change to its code make a test fail?

Usage: python test/mutation/run.py [--keep FOLDER]

Works on a copy in a temporary folder with mutmut (BSD-3). Exits 1 when a mutant survives that
`justified.txt` beside this file does not name (changed wording of messages aside); prints the score.
"""

import argparse
import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUTATED = ("gate.py", "stopping.py")
TESTS = ("test_gate.py",)
SETTINGS = """[mutmut]
source_paths = lifelong_nav
only_mutate =
{mutated}
also_copy = test/
pytest_add_cli_args_test_selection =
{tests}
mutate_only_covered_lines = false
timeout_constant = 3
track_dependencies = false
use_git_change_detection = false
use_setproctitle = false
"""


def prepare(folder: Path) -> None:
    """Copy what the gate's tests need, with mutmut's settings."""
    for package in ("core", "control"):
        shutil.copytree(
            ROOT / "lifelong_nav" / package,
            folder / "lifelong_nav" / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(ROOT / "lifelong_nav" / "__init__.py", folder / "lifelong_nav")
    (folder / "test").mkdir()
    for name in TESTS:
        shutil.copy(ROOT / "test" / name, folder / "test")
    (folder / "setup.cfg").write_text(
        SETTINGS.format(
            mutated="\n".join(f"    lifelong_nav/control/{name}" for name in MUTATED),
            tests="\n".join(f"    test/{name}" for name in TESTS),
        )
    )


def justified() -> dict[str, str]:
    """Survivors that change nothing that matters: the changed line -> why."""
    out = {}
    for line in (Path(__file__).parent / "justified.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            change, _, why = line.partition("  ## ")
            out[" ".join(change.split())] = why.strip()
    return out


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in the copy and return what it says."""
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    result = subprocess.run(
        [str(Path(sys.executable).parent / "mutmut"), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


def change_of(folder: Path, name: str) -> tuple[str, bool]:
    """The lines that a mutant changed, on one line, and whether only words in quotes differ."""
    module, function = name.rsplit(".", 1)
    source = (folder / "mutants" / (module.replace(".", "/") + ".py")).read_text()
    lines = source.splitlines()
    bodies = {
        node.name: lines[node.lineno : node.end_lineno]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    before, after = bodies[re.sub(r"__mutmut_\d+$", "__mutmut_orig", function)], bodies[function]
    diff = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    old, new = (" ".join(" ".join(d[1:] for d in diff if d[0] == sign).split()) for sign in "-+")
    blank = re.compile(r"\"[^\"]*\"|None")
    return new, blank.sub("", old) == blank.sub("", new) and '"' in old


def main() -> int:
    """Run it all; the exit code is the verdict."""
    parser = argparse.ArgumentParser(description="Mutation test of the safety gate.")
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it")
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp(prefix="gate-mutants-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        prepare(folder)
        said = mutmut(folder, "run", "--max-children", str(min(2, os.cpu_count() or 1)))
        results = re.findall(
            r"^\s*(\S+__mutmut_\d+): (.+)$", mutmut(folder, "results", "--all", "true"), re.M
        )
        if not results:
            print(said)
            return 2
        if any(status == "not checked" for _, status in results):
            print(said[-3000:])
            return 2
        reasons, bad, excused = justified(), [], 0
        killed = sum(status in ("killed", "timeout", "suspicious", "segfault") for _, status in results)
        for name, status in results:
            if status in ("killed", "timeout", "suspicious", "segfault"):
                continue
            change, wording = change_of(folder, name)
            if status == "survived" and (wording or change in reasons):
                excused += 1
            else:
                bad.append(f"{status}: {name}: {change}")
        print(f"{len(results)} mutants, {killed} killed ({100 * killed / len(results):.1f} %), "
              f"{excused} justified, {len(bad)} not.")  # fmt: skip
        print("\n".join(bad))
        return int(bool(bad))
    finally:
        if not parser.parse_args().keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
