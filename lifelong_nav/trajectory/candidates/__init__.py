"""Ways to go on that rules and search propose; learned ones stand beside them (`trajectory.generator`).

`propose` is the entry: situation in, some twenty drivable candidates out.
"""

from lifelong_nav.trajectory.candidates.propose import CandidatesConfig, propose

__all__ = ["CandidatesConfig", "propose"]
