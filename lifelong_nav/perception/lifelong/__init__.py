"""Learning new social scenarios while driving: memory, update, and the guard that lets an update through."""
