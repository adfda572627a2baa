"""Streamlit components: each is a typed Python wrapper with its js and css beside it."""
