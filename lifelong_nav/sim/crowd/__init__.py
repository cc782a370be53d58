"""People who walk: social force, ORCA and replayed tracks behind one protocol (`state.Crowd`)."""
