"""Whatever goes wrong on the wire, nothing is lost and nothing is done twice."""
