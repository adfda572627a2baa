"""Components: a folder entry is html, css and js read as text beside its typed Python wrapper."""
