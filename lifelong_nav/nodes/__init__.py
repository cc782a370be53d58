"""Thin lifecycle nodes around the components, and the one table of topics they share."""
