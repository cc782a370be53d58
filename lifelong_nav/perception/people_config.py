"""Parameters of people perception."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class PeopleConfig:
    """People from the 2-D lidar and, where there is one, the camera: detection, tracking, groups."""

    max_range: float = param(8.0, "m", 1.0, 30.0, "Clusters farther away are not looked at.")
    jump_distance: float = param(
        0.10, "m", 0.02, 0.5, "Gap between neighbouring returns that ends a cluster."
    )
    max_width: float = param(0.8, "m", 0.3, 1.5, "Widest cluster that can be a person.")
    memory_every: float = param(0.25, "s", 0.05, 2.0, "Time between scans kept as memory of free space.")
    memory_depth: int = param(
        24, "", 2, 200, "How many scans are kept as memory of free space; 0 s to depth * every."
    )
    use_memory: bool = param(True, "", doc="Weigh what stood there before; off only to measure its worth.")
    compensate: bool = param(True, "", doc="Take errors of odometry out by matching scans.")
    margin: float = param(
        0.12, "m", 0.02, 0.5, "A past return within this distance means the spot was occupied."
    )
    leg_gap: float = param(0.65, "m", 0.2, 1.0, "Largest distance between the two legs of a person.")
    sigma_pair: float = param(0.07, "m", 0.01, 0.5, "Position noise when both legs are seen.")
    sigma_single: float = param(0.13, "m", 0.01, 0.5, "Position noise when one leg is seen.")
    sigma_accel: float = param(1.6, "m/s^2", 0.1, 10.0, "How strongly people change their velocity.")
    sigma_speed: float = param(1.2, "m/s", 0.1, 3.0, "Spread of walking velocity of a new track, each axis.")
    gate: float = param(20.0, "", 1.0, 50.0, "Largest squared Mahalanobis distance of an association.")
    newness_weight: float = param(0.4, "", 0.0, 5.0, "Log-odds per scan for a spot that was free before.")
    motion_weight: float = param(0.7, "", 0.0, 5.0, "Log-odds per scan for steady motion.")
    confirm_hits: int = param(2, "", 1, 20, "Detections before a track can be reported.")
    confirm_evidence: float = param(1.6, "", 0.0, 20.0, "Log-odds of being a mover needed to report a track.")
    stand_beams: float = param(4.0, "", 1.0, 100.0, "Beams a leg must catch to tell people who never moved.")
    stand_shape: float = param(
        0.7, "", -3.0, 5.0, "Shape log-odds from which a scan speaks for a standing person."
    )
    stand_evidence: float = param(1.2, "", 0.0, 4.0, "Sum of shape evidence at which they are reported.")
    brisk_evidence: float = param(
        0.8, "", 0.0, 20.0, "Evidence that makes a brisk, well-shaped track a person at once."
    )
    min_shape: float = param(0.3, "", -3.0, 3.0, "Mean log-odds of shape a reported track must keep.")
    walker_shape: float = param(-0.3, "", -3.0, 3.0, "The same once a track has walked walker_distance.")
    miss_rate: float = param(
        4.5, "1/s", 0.1, 50.0, "Log-odds lost per second in plain view without a detection."
    )
    hidden_rate: float = param(1.0, "1/s", 0.0, 50.0, "Log-odds lost per second while hidden or out of view.")
    coast_visible: float = param(
        0.5, "s", 0.0, 5.0, "How long a person missed in plain view is still reported."
    )
    coast_hidden: float = param(1.5, "s", 0.0, 30.0, "How long a hidden person is still reported.")
    walker_distance: float = param(0.8, "m", 0.1, 5.0, "A track that came this far may stand still for good.")
    max_speed: float = param(3.0, "m/s", 0.5, 10.0, "Faster tracks are no people.")
    camera_gate: float = param(
        12.0,
        "",
        1.0,
        50.0,
        "Largest squared Mahalanobis distance at which a person seen by the camera is a track's.",
    )
    camera_weight: float = param(
        1.5, "", 0.0, 10.0, "Log-odds a sure sighting by the camera adds, per 0.1 s."
    )
    camera_birth: float = param(0.45, "", 0.05, 1.0, "Score of a sighting that starts a track by itself.")
    camera_trust: float = param(0.8, "", 0.0, 4.0, "Log-odds from the camera that make a track a person.")
    camera_doubt_rate: float = param(
        6.0, "1/s", 0.0, 50.0, "Log-odds lost per second while the camera sees that nobody is there."
    )
    camera_doubt: float = param(1.2, "", 0.0, 4.0, "Log-odds against a track that hide it.")
    camera_delay: float = param(
        0.8, "s", 0.0, 1.0, "Pictures later than this after the newest scan are left out."
    )
    camera_lead: float = param(
        0.35, "s", 0.05, 1.0, "Silence of the lidar after which the camera alone carries time forward."
    )
