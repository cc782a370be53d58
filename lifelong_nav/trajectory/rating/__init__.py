"""Ratings by people: how bad they find a robot that stands there, learned from SocNav1."""
