// What was changed on the page and the server does not know yet, and the address, which has it at once:
// a reload, a link copied and a step back in the history find it there.
//
// The grammar of the address: one query parameter per setting, named as the setting; a setting at its
// first value is left out. Python alone writes a value (`write_field`, `edit_template`) and orders the
// settings; here they are put together.

// Safari allows a page 100 addresses in 30 seconds.
const ADDRESSES_AT_ONCE = 20;
const ADDRESS_EVERY_MS = 400; // beyond these

/**
 * @typedef {object} PageState one per page, for all components
 * @property {Map<string, string>} pending values by setting, "" for one that the address leaves out
 * @property {Set<string>} unrun settings changed since the page was run
 * @property {string[]} names all settings, in the order of the address
 * @property {Set<{collect: () => void, abandon: () => void, isIdle: boolean}>} senders
 * @property {boolean} leaving whether the address is that of another page already
 * @property {number} changes how often a value was changed
 * @property {Map<string, number>} shownAt by a figure's key, the changes that it shows
 * @property {number} pageVersion the changes that the page itself shows
 * @property {number} runs how often the page has caught up
 * @property {number} mayWrite how many addresses may be written at once
 * @property {number} wroteAt when the last one was
 * @property {number | undefined} writing the timer that will write one
 */

window.rnnvizPage ??= {
  pending: new Map(),
  unrun: new Set(),
  names: [],
  senders: new Set(),
  leaving: false,
  changes: 0,
  shownAt: new Map(),
  pageVersion: 0,
  runs: 0,
  mayWrite: ADDRESSES_AT_ONCE,
  wroteAt: 0,
  writing: undefined,
};
export const page = window.rnnvizPage;

/**
 * Keeps a value until the server has it; the address has it at once, or soon after many others.
 * @param {string} name
 * @param {string} value
 */
export function setPending(name, value) {
  page.pending.set(name, value);
  clearTimeout(page.writing);
  if (spareAddresses() >= 1) writeAddress();
  else page.writing = setTimeout(writeAddress, ADDRESS_EVERY_MS);
}

function spareAddresses() {
  const since = (performance.now() - page.wroteAt) / ADDRESS_EVERY_MS;
  return Math.min(ADDRESSES_AT_ONCE, page.mayWrite + since);
}

/**
 * A setting as it is now: pending, or as the address has it.
 * @param {string} name
 */
export function setting(name) {
  return page.pending.get(name) ?? new URLSearchParams(location.search).get(name) ?? "";
}

/** The address with all pending values, its settings in the order in which the server writes them. */
export function address() {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of page.pending) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
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
  page.mayWrite = Math.max(0, spareAddresses() - 1);
  page.wroteAt = performance.now();
  history.replaceState(
    history.state,
    "",
    location.pathname + (query && `?${query}`) + location.hash,
  );
}

/**
 * The server has the value of this setting, if any is named; where the page itself has been run with
 * all of them, its own figures and texts are shown again.
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
