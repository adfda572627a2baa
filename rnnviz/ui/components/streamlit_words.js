// The language of the document, and Streamlit's own texts, which are English, in the reader's language.
//
// Streamlit has no setting for these texts, so they are replaced where they appear in the page. React keeps
// the elements: it writes a text again only if its own text changes, and then the new one is replaced.

/** @typedef {Record<string, string>} Words texts by key, with {1}, {2} for the parts of the English text */

/** @type {[RegExp, string][]} Streamlit's texts, and the keys of ours */
export const PHRASES = [
  [/^Press (Ctrl|⌘)\+Enter to apply$/, "apply_text"],
  [/^Press Enter to apply$/, "apply_number"],
  [/^Skip to main content$/, "skip"],
  [/^Connection error$/, "connection"],
  [/^Streamlit server is not responding\. Are you connected to the internet\?$/, "no_server"],
  [/^Help for (.+)$/s, "help_for"],
  [/^Help$/, "help"],
  [/^Sidebar$/, "sidebar"],
  [/^Navigate to home page$/, "home"],
  [/^Collapse sidebar$/, "collapse"],
  [/^Expand sidebar$/, "expand"],
  [/^App pages$/, "pages"],
  [/^Open$/, "open"],
  [/^Close$/, "close"],
  [/^Decrement$/, "decrement"],
  [/^Increment$/, "increment"],
  [/^Clear value$/, "clear"],
  [/^No results$/, "no_results"],
];
const TEXTS =
  "[data-testid=InputInstructions], [data-testid=stSkipToContent], [role=dialog], [role=listbox]:not(.strip)";
const NAMED =
  "button[aria-label]:not([role=option]), a[aria-label], nav[aria-label], section[aria-label], ul[aria-label]";
const OWN = ".rnnviz-instrument, .rnnviz-chart"; // they change at every frame, and have no texts of Streamlit

/**
 * Our text for one of Streamlit's, or the same text.
 * @param {string} text
 * @param {Words} words
 */
export function inOurWords(text, words) {
  for (const [pattern, key] of PHRASES) {
    const parts = pattern.exec(text);
    if (parts) return words[key].replaceAll(/\{(\d)\}/g, (_, place) => parts[Number(place)]);
  }
  return text;
}

/** @type {WeakMap<Node, {english: string, shown: string}>} */
const replaced = new WeakMap();

/**
 * @param {Node} node a text, or an element with a name
 * @param {string} text
 * @param {Words} words
 */
function shownFor(node, text, words) {
  const before = replaced.get(node);
  const english = before?.shown === text ? before.english : text;
  const shown = inOurWords(english, words);
  if (shown !== english) replaced.set(node, { english, shown });
  return shown;
}

/** @param {Words} words */
function replaceAll(words) {
  for (const place of document.querySelectorAll(TEXTS)) {
    const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const text = node.nodeValue ?? "";
      const shown = shownFor(node, text, words);
      if (shown !== text) node.nodeValue = shown;
    }
  }
  for (const place of document.querySelectorAll(NAMED)) {
    const name = place.getAttribute("aria-label") ?? "";
    const shown = shownFor(place, name, words);
    if (shown !== name) place.setAttribute("aria-label", shown);
  }
}

/** @type {Words} */
let current = {};
/** @type {MutationObserver | undefined} */
let observer;
let isDue = false;

function replaceBeforePaint() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    replaceAll(current);
  });
}

/**
 * Sets the document's language, and replaces Streamlit's texts from now on.
 * @param {string} language
 * @param {Words} words
 */
export function speak(language, words) {
  document.documentElement.lang = language;
  current = words;
  observer ??= new MutationObserver((changes) => {
    const isOwn = (/** @type {MutationRecord} */ { target }) =>
      target instanceof Element && target.closest(OWN);
    if (!changes.every(isOwn)) replaceBeforePaint();
  });
  observer.observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ["aria-label"],
  });
  replaceAll(words);
}
