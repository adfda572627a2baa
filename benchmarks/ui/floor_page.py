"""The smallest Streamlit page: a slider that changes one line of HTML."""

import streamlit as st

value = st.slider("Value", 0, 100, 50, key="value")
st.html(f"<p class='floor'>{value}</p>")
