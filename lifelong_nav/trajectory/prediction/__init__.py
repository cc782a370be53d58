"""Where people go: histories of tracks, constant velocity, a network of several modes, usual flows."""
