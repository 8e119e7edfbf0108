"""What this package costs, measured beside what its users would otherwise use. Never a test."""
