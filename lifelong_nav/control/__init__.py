"""How to move: model-predictive control among predicted people, and the safety gate below it.

No ROS; the gate imports nothing of the controller.
"""
