"""Driving among people, measured: planners, cases, runs, figures."""
