"""Trajectories that go on learning from demonstrations, never in the way of those in use.

A recorder cuts what a person shows into moments, an updater trains candidate heads from them, a guard judges.
"""
