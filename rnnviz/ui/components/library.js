// Loads Plotly from Streamlit's scripts.

import { served } from "./server.js";

/** @import { Plotly } from "../../instrument/static/plotly.d.ts" */

/** @type {Promise<unknown> | undefined} */
let imported;

/**
 * Plotly, if it is on the page.
 *
 * @returns {Plotly | undefined}
 */
export function loaded() {
  return window.Plotly?.react ? window.Plotly : undefined;
}

/**
 * Plotly from the page, or imported from Streamlit's scripts.
 *
 * @param {string} chunk the name of the script; "" if Streamlit has none
 * @returns {Plotly | Promise<Plotly | undefined> | undefined}
 */
export function library(chunk) {
  if (loaded() || !chunk) return loaded();
  imported ??= import(new URL(`static/js/${chunk}`, served()).href).catch(() => undefined);
  return imported.then(loaded);
}
