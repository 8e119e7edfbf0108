"""An export that is killed at random times ends with the file of an undisturbed one."""
