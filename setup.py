"""Package of lifelong_nav: an ament_python package for colcon, a plain package for pip."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "lifelong_nav"
ROOT = Path(__file__).parent
SHARE = Path("share") / NAME
NODES = [
    "sim",
    "localization",
    "perception",
    "context",
    "context_learner",
    "gate",
    "controller",
    "trajectory",
    "trajectory_learner",
    "planner",
    "view",
    "bag_player",
    "bag_recorder",
    "supervisor",
]


def tree(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below `folder`, to be installed under the share folder with its path kept."""
    out: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            relative = path.relative_to(ROOT)
            out.setdefault(str(SHARE / relative.parent), []).append(str(relative))
    return list(out.items())


ROS_WHEELS = [
    "ros-rclpy[fastrtps]>=9.1.2,<10",
    *(
        f"ros-{name}>=5.5.1,<6"
        for name in (
            "std-msgs", "sensor-msgs", "geometry-msgs", "nav-msgs", "visualization-msgs",
            "diagnostic-msgs", "trajectory-msgs", "std-srvs",
        )
    ),
    *(f"ros-{name}>=2.3.0,<3" for name in ("lifecycle-msgs", "rosgraph-msgs", "action-msgs")),
]  # fmt: skip

setup(
    name=NAME,
    version="0.1.0",
    description="A mobile manipulator that moves among people and keeps learning, on ROS 2",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="lifelong_nav maintainers",
    maintainer="lifelong_nav maintainers",
    maintainer_email="maintainers@lifelong-nav.org",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "**/*.html", "**/*.j2", "**/*.css"]},
    zip_safe=False,
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (str(SHARE), ["package.xml"]),
        *tree("launch"), *tree("config"), *tree("models"), *tree("sim"),
    ],
    install_requires=[
        "setuptools",
        "numpy>=1.26",
        "scipy>=1.11",
        "transforms3d>=0.4.2",
        "opencv-python-headless>=4.8",
        "PyYAML>=6",
        "safetensors>=0.4",
        "psutil>=5.9",
        "rosbags>=0.11",
        "mcap>=1.2",
        "zstandard>=0.22",
        "lz4>=4",
        "tqdm>=4.66",
    ],
    extras_require={
        "ros": ROS_WHEELS,
        "sim": ["pybullet>=3.2.7", "moderngl>=5.12", "Jinja2>=3.1", "Pillow>=10", "matplotlib>=3.8"],
        "viz": ["rerun-sdk==0.41.*; python_version >= '3.11'"],
        "vision": ["onnxruntime>=1.17", "tokenizers>=0.19", "httpx>=0.27"],
        "learn": [
            "torch>=2.6", "torchvision>=0.21", "open-clip-torch>=3.2", "timm>=1.0.15", "onnx>=1.17",
            "onnxscript>=0.3", "lightgbm>=4.5",
        ],
        "orca": ["pyrvo>=0.4.3"],
        "baselines": ["navground>=0.7"],
        "dev": [
            "ruff", "mypy", "import-linter", "pytest", "pytest-timeout", "pytest-xdist", "hypothesis",
            "mcap-ros2-support", "selenium", "mutmut", "scikit-image",
        ],
    },
    entry_points={
        "console_scripts": [
            f"lifelong-nav = {NAME}.cli:main",
            *(f"{NAME}_{node} = {NAME}.nodes.run:program" for node in NODES),
        ],
    },
    classifiers=[
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering",
    ],
)  # fmt: skip
