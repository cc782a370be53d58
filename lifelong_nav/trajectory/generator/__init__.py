"""Learned voices of trajectory generation: the trajectory prediction network and the caption-aware selector.

At run time onnxruntime and numpy; `heads_torch` is for learners only. A damaged model is silent, never fatal.
"""
