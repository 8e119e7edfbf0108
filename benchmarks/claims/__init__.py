"""What the package costs beside what its users would otherwise use: one file a topic."""
