"""Inputs of networks: signals as tensors, text as codes."""
