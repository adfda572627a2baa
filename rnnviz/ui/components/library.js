// Plotly, from where Streamlit has it.

let imported;

// Streamlit's own copy, there already or imported from where its scripts are.
function library(chunk) {
  if (window.Plotly?.react) return window.Plotly;
  if (!chunk) return undefined;
  imported ??= import(new URL(`static/js/${chunk}`, served()).href).catch(() => undefined);
  return imported.then(() => (window.Plotly?.react ? window.Plotly : undefined));
}

