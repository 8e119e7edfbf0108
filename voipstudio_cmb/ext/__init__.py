"""Integrations: one file each, named after what it integrates. The core imports none of them."""
