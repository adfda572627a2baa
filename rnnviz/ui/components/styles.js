// The styles of a component, which come with its script (script.py).

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLES);

/**
 * Applies the styles to the page, or to the component's shadow root.
 * @param {Node} place
 */
export function applyStyles(place) {
  const root = place.getRootNode();
  if (!(root instanceof Document || root instanceof ShadowRoot)) return; // no longer on the page
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}
