"""Parameters of a teacher behind an endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class EndpointConfig:
    """Asking an endpoint. The key is no parameter: parameters can be read by everybody on the bus."""

    url: str = param("", doc="Base URL such as https://host/v1; empty for LIFELONG_NAV_TEACHER_URL.")
    model: str = param("", doc="Name of the model; empty for LIFELONG_NAV_TEACHER_MODEL.")
    deadline: float = param(10.0, "s", 0.2, 120.0, "For one question with all its tries.")
    connect: float = param(2.0, "s", 0.1, 30.0, "For a connection.")
    tries: int = param(2, "", 1, 5, "How often one question is sent.")
    back_off: float = param(0.5, "s", 0.0, 30.0, "Wait before the second try; doubles.")
    max_bytes: int = param(65536, "B", 1024, 4_194_304, "Longest answer read.")
    max_tokens: int = param(700, "", 64, 8192, "Longest reply asked for.")
    per_hour: int = param(30, "", 0, 3600, "Questions sent in any hour, tries counted.")
    per_day: int = param(200, "", 0, 86400, "Questions sent in any day, tries counted.")
    tokens_per_day: int = param(400_000, "", 0, 100_000_000, "Tokens spent in any day.")
    new_names: int = param(20, "", 0, 1000, "How many new scenario names one session takes from it.")
    failures: int = param(3, "", 1, 100, "Failed questions in a row that open the circuit.")
    rest: float = param(60.0, "s", 0.1, 86400.0, "How long an open circuit rests at first; doubles.")
    longest_rest: float = param(3600.0, "s", 1.0, 86400.0, "Longest rest.")
    blur_heads: bool = param(True, "", doc="Make heads unrecognisable before a picture leaves the robot.")
    image_side: int = param(512, "px", 64, 4096, "Longer side of the picture sent.")
    strict: bool = param(True, "", doc="Ask for JSON by schema; off for servers that cannot.")
