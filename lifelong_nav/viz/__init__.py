"""Pictures of what the stack sees and does: the live web view, RViz markers, colours.

No ROS and no algorithms here: core values come in, drawings go out. `nodes.view` feeds it.
"""
