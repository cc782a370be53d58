"""Where to go: maps and costmaps, routes over them, and the state of a navigation errand.

No ROS; frames are named in the values.
"""
