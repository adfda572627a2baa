"""What networks read: sequences as tensors, text as codes."""
