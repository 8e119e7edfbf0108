"""Long proofs, each a command of its own."""
