"""Where the parts of social context lie: shipped with the package, or learned on this robot.

A model folder holds `text/`, `trunk/`, `head/`, `captions/`, `novelty/` and `memory/`; the learner's state
folder holds `generations/` and `captions/`, which win where they are whole and fit the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifelong_nav.core import share
from lifelong_nav.core.checkpoints import load_checkpoint
from lifelong_nav.core.config import param
from lifelong_nav.core.errors import CheckpointError, StorageError
from lifelong_nav.core.share import share_folder
from lifelong_nav.perception.context import ContextParts
from lifelong_nav.perception.lifelong.guard import HeadStore
from lifelong_nav.perception.lifelong.samples import Samples, from_tensors
from lifelong_nav.perception.lifelong.updater import Shipped
from lifelong_nav.perception.sc_clip.database import CaptionDatabase
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import ImageTrunk, Trunk
from lifelong_nav.perception.sc_clip.novelty import NoveltyGate
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder

MEMORY_FILE, HELD_FILE = "memory.safetensors", "held_out.safetensors"


@dataclass(frozen=True)
class ModelFiles:
    """Which model to use and where what is learned lies."""

    model_dir: str = param("", doc="Folder of the SC-CLIP model; empty: the one that is shipped.")
    state_dir: str = param(
        "", doc="Folder of what is learned; empty: sc_clip below $LIFELONG_NAV_STATE or ~/.lifelong_nav."
    )
    open_clip_model: str = param("", doc="open_clip architecture in place of the shipped image trunk.")
    open_clip_weights: str = param("", doc="Its local weight file; model_dir then needs a head for it.")
    threads: int = param(1, "", 1, 64, "Threads of the networks.")


def model_folder(files: ModelFiles) -> Path:
    """The model's folder."""
    return Path(files.model_dir).expanduser() if files.model_dir else share_folder("models") / "sc_clip"


def state_folder(files: ModelFiles) -> Path:
    """Where this robot keeps what it learned; may be absent."""
    if files.state_dir:
        return Path(files.state_dir).expanduser()
    return share.state_folder("sc_clip")


def load_parts(files: ModelFiles | None = None, learned: bool = True) -> ContextParts:
    """Everything that an estimate needs.

    Args:
        files: which model.
        learned: use the head that was learned on this robot, where there is one that fits.

    Raises:
        CheckpointError: the model is damaged, or its parts do not fit each other.
        DependencyError: onnxruntime (or open_clip, for another trunk) is not installed.
    """
    files = files or ModelFiles()
    folder = model_folder(files)
    text = TextEncoder.load(folder / "text", files.threads)
    trunk = load_trunk(files, folder)
    shipped = ContextHead.load(folder / "head", trunk.version, text.space)
    captions = CaptionDatabase.load(folder / "captions", text.space)
    parts = ContextParts(text, trunk, shipped, captions, NoveltyGate.load(folder / "novelty"))
    if learned:
        _use_learned(parts, state_folder(files))
    return parts


def load_trunk(files: ModelFiles, folder: Path) -> Trunk:
    """The shipped trunk, or the open_clip model that the parameters name."""
    if not files.open_clip_model:
        return ImageTrunk.load(folder / "trunk", threads=files.threads)
    from lifelong_nav.perception.sc_clip.open_clip_trunk import OpenClipTrunk  # torch

    return OpenClipTrunk.load(files.open_clip_model, Path(files.open_clip_weights).expanduser())


def load_shipped(folder: Path) -> Shipped:
    """Where learning starts: head, captions and remembered moments as shipped."""
    head = ContextHead.load(folder / "head")
    captions = CaptionDatabase.load(folder / "captions", head.space)
    return Shipped(head, captions, load_memory(folder), load_memory(folder, HELD_FILE))


def load_memory(folder: Path, name: str = MEMORY_FILE) -> Samples:
    """The remembered moments that come with a model: of its training, or held out.

    Raises:
        CheckpointError: missing or damaged.
    """
    tensors, _ = load_checkpoint(folder / "memory" / name)
    try:
        return from_tensors(tensors)
    except LookupError as error:
        raise CheckpointError(
            f"{folder / 'memory'} holds no samples.", "Restore the model folder."
        ) from error


def _use_learned(parts: ContextParts, state: Path) -> None:
    """Take over the newest whole generation and its captions; say what had to be passed over."""
    if not (state / "generations").is_dir():
        return
    notes = []
    try:
        head, generation, skipped = HeadStore(state / "generations").newest()
        notes += skipped
        if (head.trunk, head.space) != (parts.head.trunk, parts.head.space):
            notes.append("what was learned belongs to another model and is left alone")
        else:
            gate = NoveltyGate.load(generation.folder)
            parts.head, parts.gate, parts.generation = head, gate, generation.number
        if (state / "captions").is_dir():
            parts.captions = CaptionDatabase.load(state / "captions", parts.text.space)
    except StorageError as error:
        notes.append(error.what)
    parts.notes = tuple(notes)
