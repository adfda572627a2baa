"""The face: the only part that imports streamlit."""
