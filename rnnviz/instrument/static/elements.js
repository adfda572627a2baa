// Creates and finds elements.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [name] its class
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, name = "", properties = {}) {
  const made = document.createElement(tag);
  made.className = name;
  return Object.assign(made, properties);
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

export const LETTER = 8; // the width of a letter of a drawing, at most

/**
 * The attributes of an SVG text that must fit a width.
 *
 * @param {string} text
 * @param {number} width
 * @returns {Record<string, string | number>}
 */
export function narrowed(text, width) {
  if (LETTER * text.length <= width) return {};
  return { textLength: width, lengthAdjust: "spacingAndGlyphs" };
}

/**
 * The name of a term of the glossary in a text (components/glossary.js).
 *
 * @param {string} term
 * @param {string} name
 */
export function termButton(term, name) {
  const button = element("button", "rnnviz-term", { type: "button", textContent: name });
  button.dataset.term = term;
  return button;
}

/**
 * Places a popover that is shown: below an element or, where the window ends, above it.
 *
 * @param {HTMLElement} tip
 * @param {Element} anchor
 */
export function placeBeside(tip, anchor) {
  const place = anchor.getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  const below = place.bottom + 6;
  const fits = below + height < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
  tip.style.top = `${fits ? below : Math.max(8, place.top - 6 - height)}px`;
}

/**
 * The nearest element that matches, from an event's target outwards.
 *
 * @param {EventTarget | null} target
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export function closest(target, selector) {
  return target instanceof Element ? target.closest(selector) : null;
}

/**
 * Sets a text only if it differs, because writing it again would cause a layout.
 *
 * @param {Element} place
 * @param {string} text
 */
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/**
 * A note whose place has the height of its longest text, so that the page below does not move.
 */
export function roomyNote() {
  const root = element("div", "roomy");
  const room = element("p", "rnnviz-note");
  room.setAttribute("aria-hidden", "true");
  const note = element("p", "rnnviz-note");
  root.append(room, note);
  return { root, room, note };
}

/**
 * Gives an element classes by its width. A container query would recompute styles in every frame while
 * it plays.
 *
 * @param {HTMLElement} root
 * @param {Record<string, [from: number, to: number]>} classes by name, the widths in rem
 */
export function classifyWidth(root, classes) {
  new ResizeObserver(() => {
    const rem = root.clientWidth / parseFloat(getComputedStyle(document.documentElement).fontSize);
    for (const [name, [from, to]] of Object.entries(classes))
      root.classList.toggle(name, rem >= from && rem < to);
  }).observe(root);
}
