"""Weights and shapes of the cost terms."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class TermsConfig:
    """Parameters of the terms. A weight of 1 makes a term count as seconds of delay; 0 switches it off.

    Chosen on the training half of the social suite and on replayed real crowds; `training.selector_weights`
    fits them to the privileged expert.
    """

    progress: float = param(1.3, "", 0.0, 1000.0, "Seconds lost against driving freely.")
    personal_space: float = param(0.6, "1/s", 0.0, 1000.0, "Per second in the middle of a personal space.")
    contact: float = param(17.0, "", 0.0, 1000.0, "For certain contact with a person, now.")
    group: float = param(3.0, "", 0.0, 1000.0, "Driving between people who belong together.")
    queue: float = param(4.0, "", 0.0, 1000.0, "Cutting through a waiting line.")
    blind_corner: float = param(4.0, "", 0.0, 1000.0, "Nearing a hidden corner too fast to stop.")
    doorway: float = param(8.0, "", 0.0, 1000.0, "Entering a narrow place before those who come through it.")
    right_of_way: float = param(
        0.2, "", 0.0, 1000.0, "Not keeping right, crossing before those from the right."
    )
    people_effect: float = param(0.4, "1/m", 0.0, 1000.0, "Metres that people must step aside.")
    obstacle: float = param(3.0, "", 0.0, 1000.0, "Driving near obstacles.")
    comfort: float = param(0.25, "", 0.0, 1000.0, "Jerky, winding or backward motion.")
    dynamics_risk: float = param(0.5, "", 0.0, 1000.0, "Faster than one could stop for what is near.")
    rating: float = param(0.3, "", 0.0, 1000.0, "How disturbing people rate it (learned from ratings).")
    context: float = param(0.3, "", 0.0, 1000.0, "How ill it suits the caption of the scene (learned).")
    consistency: float = param(2.0, "1/m", 0.0, 1000.0, "Mean distance from what was chosen before.")

    patience: float = param(5.0, "s", 0.5, 120.0, "Waiting this long doubles the weight of progress.")
    off_way: float = param(
        1.5, "s/m", 0.0, 10.0, "Delay that a metre away from the way at the end stands for."
    )
    contact_memory: float = param(2.5, "s", 0.1, 20.0, "Time by which a predicted contact counts 1/e.")
    margin: float = param(0.15, "m", 0.01, 1.0, "Gap to obstacles below which nearness costs.")
    comfort_gap: float = param(0.55, "m", 0.05, 2.0, "Gap people keep to a robot by stepping aside.")
    narrow: float = param(
        1.45, "m", 0.5, 3.0, "Narrower ways do not let a person and the robot pass at ease."
    )
    door_ahead: float = param(1.2, "m", 0.0, 5.0, "Floor before a narrow place that those who leave it need.")
    hidden_speed: float = param(1.0, "m/s", 0.0, 3.0, "How fast somebody may step out of a hidden corner.")
    braking: float = param(1.0, "m/s^2", 0.1, 5.0, "Deceleration counted on.")
    reaction: float = param(0.3, "s", 0.0, 2.0, "Time until braking starts.")
    keep_right: bool = param(True, "", doc="Keep right; false for left-hand traffic.")
    line_gap: float = param(1.7, "m", 0.5, 3.0, "People in line stand no farther apart.")
    line_least: int = param(3, "", 2, 10, "So many people make a line.")
