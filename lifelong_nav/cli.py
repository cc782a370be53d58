"""`lifelong-nav`: one program, one verb each. Modules behind a verb are imported only when it is used."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifelong_nav import __version__
from lifelong_nav.core.config import load_yaml
from lifelong_nav.core.errors import ConfigError, LifelongNavError, require_package


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn our own errors into one line and an exit code."""
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)  # wheels: no setup.bash was sourced
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.verb is None:
        parser.print_help()
        return 0
    try:
        _check_surroundings(arguments)
        return int(arguments.run(arguments) or 0)
    except LifelongNavError as error:
        print(f"lifelong-nav: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has gone (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lifelong-nav", description="A robot that moves among people.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for add in (
        _add_sim, _add_up, _add_replay, _add_record, _add_look, _add_train, _add_weights, _add_bench,
        _add_doctor, _add_docs,
    ):  # fmt: skip
        add(verbs)
    return parser


def _verb(verbs: Any, name: str, run: Any, help_: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help_, description=help_)
    parser.set_defaults(run=run)
    return parser


def _add_sim(verbs: Any) -> None:
    p = _verb(verbs, "sim", _sim, "Run the simulated robot through its errands; report at the end.")
    p.add_argument("scenario", nargs="?", default="office_day", help="name in sim/scenarios, or a file")
    p.add_argument("--list", action="store_true", help="list the scenarios and leave")
    p.add_argument("--seed", type=_count, default=0, help="seed of building, people and noise (0)")
    p.add_argument("--errands", type=_count, default=0, help="stop after this many (0: all of the scenario)")
    p.add_argument(
        "--mode", choices=("realtime", "fast", "lockstep"), default="lockstep",
        help="lockstep: every tick waits for the stack; fast: a little less strict; realtime: by the clock",
    )  # fmt: skip
    p.add_argument("--out", type=Path, help="folder for report, bag and logs (runs/<time>)")
    p.add_argument("--record", action="store_true", help="record all topics as a rosbag2 MCAP")
    p.add_argument("--no-view", action="store_true", help="no live view in the browser")
    p.add_argument("--camera", default="160x120@10", help="WxH@Hz, or off (160x120@10)")
    p.add_argument("--timeout", type=_positive, default=3600.0, help="wall seconds at most (3600)")
    _stack_options(p)


def _stack_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--namespace", default="", help="ROS namespace of all nodes")
    p.add_argument("--params-file", default="", help="ROS parameter YAML (config/lifelong_nav.yaml)")
    p.add_argument(
        "--log-level", default="warn", choices=("debug", "info", "warn", "error", "fatal"),
        help="what the nodes say (warn)",
    )  # fmt: skip
    p.add_argument("--no-context", action="store_true", help="do not tell what is going on socially")
    p.add_argument("--no-trajectories", action="store_true", help="follow the route, choose nothing")
    p.add_argument("--no-learning", action="store_true", help="learn nothing while driving")
    p.add_argument(
        "--teacher", default="", choices=("none", "sim", "endpoint", "file"), help="whom the learner asks"
    )
    p.add_argument("--composed", action="store_true", help="all nodes in one process")
    p.add_argument(
        "-p", "--param", action="append", default=[], metavar="NODE.NAME=VALUE",
        help="override one parameter, e.g. -p gate.max_speed=0.5 (repeatable)",
    )  # fmt: skip


def _add_up(verbs: Any) -> None:
    p = _verb(verbs, "up", _up, "Run the robot's nodes as ros2 launch would, with nothing but pip.")
    p.add_argument("--map", default="", help="map_server YAML of the building")
    p.add_argument("--use-sim-time", action="store_true", help="take time from /clock")
    p.add_argument("--no-localization", action="store_true", help="map -> odom comes from elsewhere")
    p.add_argument("--no-autostart", action="store_true", help="wait for the supervisor's startup service")
    p.add_argument("--no-respawn", action="store_true", help="do not restart processes that end")
    p.add_argument("--view", action="store_true", help="live view in the browser")
    p.add_argument("--scan-topic", default="scan", help="where the lidar publishes (scan)")
    _stack_options(p)


def _add_replay(verbs: Any) -> None:
    p = _verb(verbs, "replay", _replay, "Play a bag (rosbag2 or ROS 1) through the live nodes.")
    p.add_argument("bag", type=Path, help="rosbag2 folder, .mcap, .db3, .bag, or a .zip of one")
    p.add_argument("--rate", type=_seconds, default=1.0, help="times real time; 0: as fast as nodes keep up")
    p.add_argument("--start", type=_seconds, default=0.0, help="seconds to skip at the beginning")
    p.add_argument("--duration", type=_seconds, default=0.0, help="seconds to play (0: all)")
    p.add_argument("--loop", type=_count, default=1, help="times to play it (1)")
    p.add_argument("--topics", nargs="*", default=[], help="play only these")
    p.add_argument(
        "-r", "--remap", action="append", default=[], metavar="FROM:=TO", help="rename a topic (repeatable)"
    )
    p.add_argument("--record", type=Path, help="record what the nodes make of it into this folder")
    p.add_argument("--view", action="store_true", help="live view in the browser")
    _stack_options(p)


def _add_look(verbs: Any) -> None:
    p = _verb(verbs, "look", _look, "Say what is going on in pictures, as the robot would.")
    p.add_argument("pictures", nargs="+", type=Path, help="image files")
    p.add_argument("--captions", type=Path, help="text file with captions of your own, one per line")
    p.add_argument("--model", type=Path, help="folder of the model (models/sc_clip)")


def _add_train(verbs: Any) -> None:
    p = _verb(verbs, "train", _train, "Train a shipped model anew: data from the simulator, weights, card.")
    models = ("sc-clip", "text-tower", "prediction", "ratings", "trajectories", "selector")
    p.add_argument("model", choices=models, help="what to train")
    p.add_argument("--out", type=Path, help="where the model goes (models/...)")
    p.add_argument(
        "--data", type=Path, help="data and what is cached (runs/...); prediction, ratings: the recordings"
    )
    p.add_argument("--pictures", type=_count, default=0, help="sc-clip: pictures (0: as shipped)")
    p.add_argument("--seed", type=_count, default=0, help="seed of data and weights (0)")
    p.add_argument("--workers", type=_count, default=1, help="processes that make the data (1)")
    p.add_argument(
        "--demonstrations", type=Path, nargs="+", default=[], metavar="BAG",
        help="trajectories: learn from bags of somebody driving, on top of what is in use",
    )  # fmt: skip


def _add_weights(verbs: Any) -> None:
    p = _verb(verbs, "fetch-weights", _weights, "Fetch the person detector's weights, checked by sha256.")
    p.add_argument("rest", nargs=argparse.REMAINDER, help="see: lifelong-nav fetch-weights --help")


def _add_record(verbs: Any) -> None:
    p = _verb(verbs, "record", _record, "Record topics as a rosbag2 MCAP until interrupted.")
    p.add_argument("out", type=Path, help="folder to write; must not exist")
    p.add_argument("--topics", nargs="*", default=[], help="record only these (all)")
    p.add_argument("--duration", type=_seconds, default=0.0, help="seconds (0: until interrupted)")


def _add_bench(verbs: Any) -> None:
    p = _verb(verbs, "bench", _bench, "Measure, print a table, compare with targets.")
    p.add_argument("name", nargs="?", help="which benchmark")
    p.add_argument("--list", action="store_true", help="list the names and leave")
    p.add_argument("--quick", action="store_true", help="a short run: figures are rough")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON too")
    g = p.add_argument_group("where the benchmark has them; social has all")
    g.add_argument("--out", type=Path, metavar="FOLDER", help="report.html and runs, continued if cut off")
    g.add_argument("--seeds", type=_count, default=0, metavar="N", help="per scenario and human model (20)")
    g.add_argument("--planners", type=_words, default=(), metavar="A,B", help="names or module:Class (all)")
    g.add_argument("--scenarios", type=_words, default=(), metavar="A,B", help="held-out families (all)")
    g.add_argument(
        "--humans", type=_words, default=(), metavar="A,B", help="social_force, orca, impassive, mixed"
    )
    g.add_argument("--workers", type=_count, default=0, metavar="N", help="processes (one per core)")
    g.add_argument(
        "--real",
        type=_words,
        default=(),
        metavar="A,B",
        help="recorded crowds instead: eth,zara01,students03",
    )
    g.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="recordings of one's own: social --real, prediction, ratings",
    )


def _add_doctor(verbs: Any) -> None:
    p = _verb(verbs, "doctor", _doctor, "Check this machine and say what is wrong and how to mend it.")
    p.add_argument("--json", action="store_true", help="machine-readable output")


def _add_docs(verbs: Any) -> None:
    p = _verb(verbs, "docs", _docs, "Write the generated pages (topics, parameters) from the code.")
    p.add_argument("--check", action="store_true", help="only say whether they are up to date")


def _sim(a: argparse.Namespace) -> int:
    import lifelong_nav.simulate as simulate

    if a.list:
        return simulate.print_scenarios()
    return simulate.run(a, _overrides(a.param))


def _up(a: argparse.Namespace) -> int:
    from lifelong_nav.core.grid import load_map
    from lifelong_nav.launcher import Launcher, run_until_interrupted
    from lifelong_nav.nodes.neighbours import refuse_company
    from lifelong_nav.stack import Options, nodes_for

    if a.map:
        load_map(a.map)  # says what is wrong with it before any process starts

    options = Options(
        profile="robot", namespace=a.namespace, use_sim_time=a.use_sim_time, params_file=a.params_file,
        log_level=a.log_level, autostart=not a.no_autostart, respawn=not a.no_respawn, map=a.map,
        localization=not a.no_localization, context=not a.no_context,
        trajectories=not a.no_trajectories, learning=not a.no_learning,
        teacher=a.teacher, view=a.view, scan_topic=a.scan_topic,
        overrides=_overrides(a.param),
    )  # fmt: skip
    names = [spec.name for spec in nodes_for(options)]
    refuse_company(names, a.namespace)
    print(f"starting {', '.join(names)}; Ctrl-C stops them in order", flush=True)
    return run_until_interrupted(Launcher(options, composed=a.composed))


def _replay(a: argparse.Namespace) -> int:
    import lifelong_nav.replaying as replaying

    return replaying.run(a, _overrides(a.param))


def _record(a: argparse.Namespace) -> int:
    import lifelong_nav.nodes.bag_recorder as bag_recorder

    summary = bag_recorder.record(a.out, topics=a.topics, duration=a.duration or None)
    print(summary)
    return 0


def _look(a: argparse.Namespace) -> int:
    import lifelong_nav.looking as looking

    return looking.run(a.pictures, a.captions, a.model)


def _train(a: argparse.Namespace) -> int:
    import lifelong_nav.training.commands as commands

    order = commands.Order(a.model, a.out, a.data, a.pictures, a.seed, a.workers, tuple(a.demonstrations))
    return commands.run(order)


def _weights(a: argparse.Namespace) -> int:
    import lifelong_nav.weights as weights

    return weights.main(a.rest)


def _bench(a: argparse.Namespace) -> int:
    from lifelong_nav.evaluation.bench import BENCHMARKS, run_bench

    if a.list or a.name is None:
        for name, (_, sentence) in BENCHMARKS.items():
            print(name if a.list else f"{name:10s} {sentence}")
        return 0
    names = ("out", "seeds", "planners", "scenarios", "humans", "workers", "real", "data")
    options = {name: value for name in names if (value := getattr(a, name))}
    print(run_bench(a.name, a.quick, a.json, **options).text())
    return 0


def _doctor(a: argparse.Namespace) -> int:
    import lifelong_nav.doctor as doctor

    return doctor.run(as_json=a.json)


def _docs(a: argparse.Namespace) -> int:
    import lifelong_nav.nodes.pages as pages

    return pages.write(check=a.check)


def _check_surroundings(a: argparse.Namespace) -> None:
    """What would end every node at once is better said before any of them starts."""
    if a.verb not in ("sim", "up", "replay", "record") or getattr(a, "list", False):
        return
    require_package("rclpy", "ros")
    require_package("lifelong_nav_interfaces", "ros")
    if not re.fullmatch(r"|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*/?", getattr(a, "namespace", "")):
        raise ConfigError(f"'{a.namespace}' is not a ROS namespace.", "Example: robot1")
    if getattr(a, "params_file", ""):
        load_yaml(a.params_file)


def _number(text: str, kind: type, low: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None
    if not low <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below {low:g} or without end")
    return value


def _count(text: str) -> int:
    return int(_number(text, int, 0))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _seconds(text: str) -> float:
    return float(_number(text, float, 0.0))


def _positive(text: str) -> float:
    return float(_number(text, float, 0.1))


def _overrides(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`node.name=value` texts as node -> {name: value}, checked against the node's own parameters."""
    out: dict[str, dict[str, Any]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        node, dot, name = key.partition(".")
        if not (equals and dot and node and name):
            raise ConfigError(f"'{text}' is not NODE.NAME=VALUE.", "Example: -p gate.max_speed=0.5")
        out.setdefault(node, {})[name] = _parameter(node, name, value)
    return out


def _parameter(node: str, name: str, text: str) -> Any:
    import yaml

    from lifelong_nav.core.config import parse_text, specs
    from lifelong_nav.nodes.run import load
    from lifelong_nav.stack import ALL_NODES

    if node not in ALL_NODES:
        raise ConfigError(f"There is no node '{node}'.", f"Nodes: {', '.join(ALL_NODES)}.")
    known = {spec.name: spec for spec in specs(load(ALL_NODES[node].target).CONFIG)}
    if name not in known:
        raise ConfigError(
            f"Node '{node}' has no parameter '{name}'.",
            f"It has {', '.join(sorted(known))}; see docs/parameters.md.",
        )
    try:
        return parse_text(known[name], text)
    except yaml.YAMLError:
        raise ConfigError(f"'{text}' is no value for {node}.{name}.", known[name].doc) from None


if __name__ == "__main__":
    sys.exit(main())
