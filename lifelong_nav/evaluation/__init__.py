"""Metrics, benchmarks and reports. Benchmarks print a table and write `targets` as JSON."""
