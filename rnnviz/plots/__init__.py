"""Figures: each takes records and returns a Plotly figure, and computes nothing."""
