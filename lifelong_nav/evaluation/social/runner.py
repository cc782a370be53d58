"""Many runs in several processes, with a progress bar, continued where they were cut off.

Every run leaves one file in a work folder, named by a hash of case, planner and the code that drives it.
A run whose file is there is not driven again: a benchmark killed half-way goes on from there, one whose
planner was changed drives that planner anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.share import share_folder
from lifelong_nav.evaluation.social import record_file
from lifelong_nav.evaluation.social.case import AnyCase
from lifelong_nav.evaluation.social.planner import PLANNERS
from lifelong_nav.evaluation.social.run import RunRecord

Job = tuple[AnyCase, str]
Drive = Callable[[AnyCase, str], RunRecord]

_PACKAGE = Path(__file__).resolve().parents[2]
_WORLD = ("core", "sim", "trajectory/route.py", "trajectory/cost_grid.py", "trajectory/field.py")
_OWN = ("case", "run", "planner", "lost_time", "real", "record_file")
_MINDS = ("trajectory", "control", "perception", "evaluation/social/ours.py", "training")
_MODELS = ("prediction", "social_rating", "trajectories", "sc_clip")


def run_all(
    jobs: Sequence[Job], folder: Path, drive: Drive, workers: int = 2, quiet: bool = False
) -> dict[Job, Path]:
    """Drive what has not been driven; return every job's file.

    Args:
        jobs: cases with planners' names; the order in which they are begun.
        folder: work folder, made where it is not there.
        drive: a function that can be imported by name; runs in other processes.
        workers: processes; 1 drives in this one.
        quiet: no progress bar.

    Raises:
        ConfigError: a planner is not known.
    """
    from tqdm import tqdm

    files = {job: folder / f"{key(*job)}.npz" for job in jobs}
    open_jobs = [job for job in files if not done(files[job])]
    bar = tqdm(total=len(files), initial=len(files) - len(open_jobs), unit="run", disable=quiet)
    with bar:
        for job in _driven(open_jobs, files, drive, workers):
            bar.set_postfix_str(job[1], refresh=False)
            bar.update()
    return files


def _driven(jobs: Sequence[Job], files: dict[Job, Path], drive: Drive, workers: int) -> Iterator[Job]:
    if workers <= 1:
        for job in jobs:
            _one(drive, job, files[job])
            yield job
        return
    # fresh interpreters: a fork would copy threads and locks of whatever is loaded here
    with _single_threaded(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: dict[Future[None], Job] = {}
        todo = iter(jobs)
        try:
            while True:
                while len(waiting) < 4 * workers and (fresh := next(todo, None)) is not None:
                    waiting[pool.submit(_one, drive, fresh, files[fresh])] = fresh
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    future.result()
                    yield waiting.pop(future)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one(drive: Drive, job: Job, path: Path) -> None:
    record_file.save(path, drive(*job))


def done(path: Path) -> bool:
    """True for a file that holds a whole record; a damaged one is removed."""
    if not path.is_file():
        return False
    try:
        record_file.load(path)
    except InputError:
        path.unlink(missing_ok=True)
        return False
    return True


def key(case: AnyCase, planner: str) -> str:
    """Name of a run's file: readable, and different whenever anything that decides the run is."""
    text = f"{type(case).__name__} {sorted(asdict(case).items())} {planner} {fingerprint(planner)}"
    readable = "".join(c if c.isalnum() or c in "-_" else "_" for c in f"{case.family}-{planner}")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@lru_cache(maxsize=64)
def fingerprint(planner: str) -> str:
    """Hash of the code (and weights) that decide what a planner does in a case.

    Baselines depend on the simulator and their folder, everything else on all of the stack; a planner of
    a user's on its own module as well.
    """
    social = _PACKAGE / "evaluation" / "social"
    parts = [_PACKAGE / p for p in _WORLD] + [social / f"{name}.py" for name in _OWN]
    parts.append(share_folder("sim") / "suite")
    parts.append(share_folder("sim") / "scenarios")
    target = PLANNERS.get(planner, planner)
    if ".social.baselines" in target:
        parts.append(social / "baselines")
    else:
        parts += [_PACKAGE / p for p in _MINDS]
        parts += [_models() / name for name in _MODELS]
        spec = importlib.util.find_spec(target.partition(":")[0]) if ":" in target else None
        if spec is not None and spec.origin:
            parts.append(Path(spec.origin))
    return _hash_of(parts)


def _hash_of(parts: Sequence[Path]) -> str:
    h = hashlib.sha256()
    for part in parts:
        for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            h.update(path.name.encode())
            if path.suffix in (".py", ".yaml"):
                h.update(path.read_bytes())
            else:  # weights: size and time tell whether they changed
                stat = path.stat()
                h.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return h.hexdigest()


def _models() -> Path:
    from lifelong_nav.core.errors import ConfigError

    try:
        return share_folder("models")
    except ConfigError:
        return Path("models")


class _single_threaded:
    """While workers start, numerical libraries are told to use one thread each."""

    _names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self._names}
        os.environ.update(dict.fromkeys(self._names, "1"))

    def __exit__(self, *_: object) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
