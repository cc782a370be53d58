"""How much a scan cluster looks like a person's leg, or two legs seen as one."""

from __future__ import annotations

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.scan_features import Clusters

LEG_RADIUS = 0.06
"""A cluster's centre lies this far in front of the middle of the leg [m]."""
_WIDTH = np.array([0.0, 0.03, 0.07, 0.12, 0.22, 0.32, 0.50, 0.65, 0.90])
_WIDTH_SCORE = np.array([-1.5, -0.8, 0.2, 0.7, 0.7, 0.2, 0.2, -0.4, -2.0])


def person_score(clusters: Clusters) -> FloatArray:
    """Log-odds contribution (C,) of shape alone, about -2 (wall) to 1.5 (free-standing leg).

    Width carries most of it; a cluster that merges into a surface beside it, is straight over more
    than a leg's width or hides behind something nearer is doubted.
    """
    c = clusters
    score = np.interp(c.width, _WIDTH, _WIDTH_SCORE)
    hidden = c.jump < 0.0
    attached = ~hidden & (c.jump < 0.2)
    score += np.where(attached, -0.5, np.where(hidden, -0.25, 0.2)).sum(axis=1)
    straight = (c.count >= 4) & (c.width > 0.18) & (c.thickness < 0.1 * c.width)
    score -= 1.2 * straight
    score -= np.where(c.wall_gap < 0.4, 0.8, 0.0)
    score -= 0.8 * c.in_line
    round_front = (c.count >= 4) & (c.bulge > 0.01) & (c.width < 0.3)
    score += 0.2 * round_front
    lonely = (c.count == 1) & (c.spacing < 0.04)  # a leg here would have caught several beams
    return score - 1.0 * lonely


def leg_centres(clusters: Clusters) -> FloatArray:
    """(C, 2) middle of each leg in the sensor frame [m]: the seen front, pushed back by its radius."""
    depth = np.minimum(LEG_RADIUS, clusters.width / 2.0)
    return clusters.centre * (1.0 + depth / clusters.distance)[:, None]
