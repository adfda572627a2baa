// Pending changes, which the server does not have yet, and the address, which is updated at once, so that
// a reload, a copied link and the browser's history have them.
//
// The address has one query parameter per setting, with the setting's name; a setting with its default is
// left out. Values are formatted by Python only (`field_text`, `edit_template`), which also defines the
// order of the settings; this module composes the query.

// Safari allows a page 100 addresses in 30 seconds; in Chromium one costs as much as a live update.
const ADDRESS_EVERY_MS = 2000; // while a value keeps changing
const ADDRESS_AFTER_MS = 400; // without a change

/**
 * @typedef {object} PageState one per page, for all components
 * @property {Map<string, string>} pending values by setting, "" for one that the address leaves out
 * @property {Set<string>} unrun settings changed since the page was run
 * @property {string[]} names all settings, in the order of the address
 * @property {Record<string, string>} firstView what an address leaves out if it names no setting
 * @property {Record<string, string>} defaultView what it names if all settings have their defaults
 * @property {Set<{collect: () => void, abandon: () => void, isIdle: boolean}>} senders
 * @property {boolean} leaving whether the address is already that of another page
 * @property {number} changes the number of changes so far
 * @property {Map<string, number>} shownAt by a figure's key, the value of `changes` that it shows
 * @property {number} pageVersion the value of `changes` that the page itself shows
 * @property {number} runs how often the page has shown all changes
 * @property {boolean} isLive whether live updates arrive, as far as is known
 * @property {number} wroteAt the time at which the last address was written
 * @property {number | undefined} writing the timer that will write one
 */

window.rnnvizPage ??= {
  pending: new Map(),
  unrun: new Set(),
  names: [],
  firstView: {},
  defaultView: {},
  senders: new Set(),
  leaving: false,
  changes: 0,
  shownAt: new Map(),
  pageVersion: 0,
  runs: 0,
  isLive: true,
  wroteAt: -ADDRESS_EVERY_MS,
  writing: undefined,
};
export const page = window.rnnvizPage;

/**
 * Keeps a value until the server has it, and writes it to the address, at once or within the limits above.
 * @param {string} name
 * @param {string} value
 */
export function setPending(name, value) {
  page.pending.set(name, value);
  clearTimeout(page.writing);
  if (performance.now() - page.wroteAt >= ADDRESS_EVERY_MS) writeAddress();
  else page.writing = setTimeout(writeAddress, ADDRESS_AFTER_MS);
}

/**
 * The current text of a setting: pending, or from the address.
 * @param {string} name
 */
export function setting(name) {
  return page.pending.get(name) ?? named().get(name) ?? "";
}

/** The query of the browser's address, with the settings that the first view leaves out. */
function named() {
  const query = new URLSearchParams(location.search);
  if (settingsOf(query).length) return query;
  for (const [name, value] of Object.entries(page.firstView)) query.set(name, value);
  return query;
}

/**
 * The settings that a query names, but the language.
 * @param {URLSearchParams} query
 */
function settingsOf(query) {
  return [...query.keys()].filter((name) => name !== "language" && page.names.includes(name));
}

/**
 * Leaves out the first view's settings where it names no others; names some of the default view.
 * @param {URLSearchParams} query
 */
function shorten(query) {
  const settings = settingsOf(query);
  const first = Object.entries(page.firstView);
  const isFirst = first.every(([name, value]) => query.get(name) === value);
  if (isFirst && settings.length === first.length) for (const [name] of first) query.delete(name);
  else if (!settings.length)
    for (const [name, value] of Object.entries(page.defaultView)) query.set(name, value);
}

/** The query with all pending values, its settings in the server's order. */
export function address() {
  const query = named();
  for (const [name, value] of page.pending) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  shorten(query);
  const rank = (/** @type {string} */ name) =>
    page.names.indexOf(name) + 1 || page.names.length + 1;
  return new URLSearchParams([...query].sort(([one], [other]) => rank(one) - rank(other)));
}

export function writeAddress() {
  clearTimeout(page.writing);
  if (page.leaving || !page.pending.size) return;
  // Python's urlencode differs from the browser in these two
  const query = String(address()).replaceAll("%7E", "~").replaceAll("*", "%2A");
  if (query === location.search.slice(1)) return;
  page.wroteAt = performance.now();
  history.replaceState(
    history.state,
    "",
    location.pathname + (query && `?${query}`) + location.hash,
  );
}

/**
 * Notes that the server has the value of this setting, if one is given. Once the page has run with all
 * values, its own figures and texts are shown instead of the live ones.
 * @param {string} [name]
 */
export function settle(name) {
  if (name !== undefined) page.pending.delete(name);
  if (page.pending.size || page.unrun.size) return;
  page.pageVersion = page.changes;
  page.shownAt.clear();
  page.runs += 1;
  window.dispatchEvent(new CustomEvent("rnnviz-settled"));
}
