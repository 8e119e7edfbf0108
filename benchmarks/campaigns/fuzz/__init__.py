"""No bytes that a server can send get past the documented exceptions."""
