"""Files of trained networks → modules."""
