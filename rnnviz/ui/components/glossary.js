// The glossary: shows the explanation of a term where it is pointed at, focused or tapped. Terms are buttons
// in the texts of the page (glossary.py, story.js), and symbols in the drawing of a cell.

import { closest, element, placeBeside } from "../../instrument/static/elements.js";
import { served } from "./server.js";
import { applyStyles } from "./styles.js";

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {string} says
 * @property {string} symbol
 * @property {string} shape
 * @property {string} see the text of the link
 * @property {string} page
 * @property {Record<string, string>} query
 */
/** @typedef {{ symbol: string, shape: string, terms: Record<string, Entry> }} Content of a language */

const AFTER_MS = 120; // from pointing at a term to its explanation
const AFTER_SYMBOL_MS = 600; // the same for a symbol of the drawing, which is also there to be clicked
const LEAVE_MS = 250; // to reach the explanation with the pointer
const TERM = ".rnnviz-term";
const SYMBOL = ".drawing :is(.gate[data-gate], .number[data-value], .node)";
// Symbols of the drawing whose term has another name.
const TERM_OF = /** @type {Record<string, string>} */ ({
  hidden: "hidden_state",
  cell_candidate: "candidate",
  hidden_candidate: "candidate",
  σ: "sigmoid",
  ReLU: "relu",
});

/** @type {Glossary | undefined} */
let glossary;

/** @param {import("./types.d.ts").ComponentArguments<{ language: string }>} component */
export default function (component) {
  applyStyles(component.parentElement);
  glossary ??= new Glossary();
  glossary.content = CONTENT[component.data.language];
}

class Glossary {
  constructor() {
    /** @type {Content | undefined} */
    this.content = undefined;
    /** @type {Element | null} the element whose term is explained */
    this.anchor = null;
    this.isPinned = false; // by a tap or a key: stays until it is closed
    this.popover = element("div", "rnnviz-explanation", { popover: "manual" });
    this.popover.setAttribute("role", "dialog");
    this.says = element("p", "", { id: "rnnviz-explanation" });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.due = undefined;
    this.removed = new ResizeObserver(() => this.anchor?.isConnected || this.hide());
    this.listen();
  }

  listen() {
    document.addEventListener("pointerover", (event) => this.point(event));
    document.addEventListener("focusin", (event) => this.focus(event));
    document.addEventListener("click", (event) => this.press(event));
    document.addEventListener("pointerdown", (event) => this.pressElsewhere(event));
    document.addEventListener("keydown", (event) => this.onKeyDown(event), true);
    const follow = () => this.anchor && placeBeside(this.popover, this.anchor);
    document.addEventListener("scroll", follow, { capture: true, passive: true });
    window.addEventListener("resize", follow);
  }

  /** @param {PointerEvent} event */
  point(event) {
    if (event.pointerType !== "mouse" || this.isPinned) return;
    clearTimeout(this.due);
    const anchor = this.anchorOf(event.target);
    if (this.isWithin(event.target) || (anchor && anchor === this.anchor)) return;
    if (anchor) {
      const after = anchor.matches(TERM) ? AFTER_MS : AFTER_SYMBOL_MS;
      this.due = setTimeout(() => this.show(anchor), after);
    } else if (this.anchor) this.due = setTimeout(() => this.hide(), LEAVE_MS);
  }

  /** @param {FocusEvent} event */
  focus(event) {
    if (this.isWithin(event.target)) return;
    const anchor = this.anchorOf(event.target);
    if (anchor?.matches(":focus-visible")) this.show(anchor);
    else if (this.anchor && anchor !== this.anchor) this.hide();
  }

  /** @param {MouseEvent} event */
  press(event) {
    const anchor = closest(event.target, TERM);
    if (!anchor) return;
    if (this.isPinned && anchor === this.anchor) return this.hide();
    this.show(anchor);
    this.isPinned = true;
    if (event.detail === 0) this.popover.querySelector("a")?.focus(); // by a key
  }

  /** @param {PointerEvent} event */
  pressElsewhere(event) {
    if (this.isWithin(event.target) || closest(event.target, TERM)) return;
    clearTimeout(this.due);
    this.hide();
  }

  /** @param {KeyboardEvent} event */
  onKeyDown(event) {
    if (event.key !== "Escape" || !this.anchor) return;
    event.preventDefault(); // it closes no more than this
    const { anchor } = this;
    if (this.isWithin(document.activeElement) && anchor instanceof HTMLElement) anchor.focus();
    this.hide();
  }

  /** @param {EventTarget | null} target */
  isWithin(target) {
    return target instanceof Node && this.popover.contains(target);
  }

  /**
   * @param {EventTarget | null} target
   * @returns {Element | null} the element there that has a term
   */
  anchorOf(target) {
    const found = closest(target, `${TERM}, ${SYMBOL}`);
    return found && this.entryOf(found) ? found : null;
  }

  /** @param {Element} anchor */
  entryOf(anchor) {
    const { term, gate, value } = /** @type {HTMLElement | SVGElement} */ (anchor).dataset;
    const name = term ?? gate ?? value ?? anchor.textContent ?? "";
    return this.content?.terms[TERM_OF[name] ?? name];
  }

  /** @param {Element} anchor */
  show(anchor) {
    const entry = this.entryOf(anchor);
    if (!anchor.isConnected || !entry) return;
    this.hide();
    this.anchor = anchor;
    this.fill(entry);
    document.body.append(this.popover);
    this.popover.showPopover();
    placeBeside(this.popover, anchor);
    this.removed.observe(anchor);
    if (anchor.matches(TERM)) anchor.setAttribute("aria-describedby", this.says.id);
  }

  hide() {
    this.isPinned = false;
    if (!this.anchor) return;
    this.removed.disconnect();
    if (this.anchor.matches(TERM)) this.anchor.removeAttribute("aria-describedby");
    this.anchor = null;
    this.popover.remove();
  }

  /** @param {Entry} entry */
  fill({ name, says, symbol, shape, see, page, query }) {
    const { content } = this;
    const title = element("p", "name", { textContent: name });
    this.says.textContent = says;
    const facts = element("dl");
    for (const [label, text] of [
      [content?.symbol, symbol],
      [content?.shape, shape],
    ])
      if (text)
        facts.append(
          element("dt", "", { textContent: label }),
          element("dd", "", { textContent: text }),
        );
    const address = new URL(page, served());
    address.search = new URLSearchParams(query).toString();
    const link = element("a", "", { href: address.href, textContent: see });
    this.popover.setAttribute("aria-label", name);
    this.popover.replaceChildren(title, this.says, facts, link);
  }
}
