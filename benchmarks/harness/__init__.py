"""What claims, campaigns and tests share."""
