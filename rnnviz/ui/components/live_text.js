// A piece of HTML from Python, which live updates replace until the page has been run.

const instances = new WeakMap();
const EVENTS = ["rnnviz-live", "rnnviz-settled"];

/** @param {import("./types.d.ts").ComponentArguments<any>} component */
export default function (component) {
  const { data, parentElement } = component;
  /** @type {LiveText | undefined} */
  let text = instances.get(parentElement);
  if (!text) {
    text = new LiveText(parentElement);
    instances.set(parentElement, text);
  }
  text.update(data);
  const shown = text;
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => shown.root.isConnected || shown.stop());
}

class LiveText {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.setAttribute("aria-live", "polite");
    parent.appendChild(this.root);
    this.key = "";
    this.pageHtml = "";
    /** @type {string | undefined} */
    this.liveHtml = undefined;
    /** @type {string | undefined} as shown */
    this.html = undefined;
    this.onEvent = (/** @type {Event} */ event) =>
      this.receive(/** @type {CustomEvent} */ (event).detail);
    for (const name of EVENTS) window.addEventListener(name, this.onEvent);
  }

  /** @param {{key: string, html: string}} data */
  update({ key, html }) {
    this.key = this.root.dataset.rnnvizLive = key;
    this.pageHtml = html;
    const page = window.rnnvizPage;
    // a live update of the last value is newer than the page
    if (!page?.pending.size || page.shownAt.get(key) !== page.changes) this.liveHtml = undefined;
    this.show();
  }

  /** @param {Record<string, string> | null} detail JSON by key, "" for a text that cannot be updated */
  receive(detail) {
    const json = detail?.[this.key];
    if (detail && !json) return;
    this.liveHtml = json && JSON.parse(json);
    this.show();
  }

  show() {
    const html = this.liveHtml ?? this.pageHtml;
    if (html !== this.html) this.root.innerHTML = html;
    this.html = html;
  }

  stop() {
    for (const name of EVENTS) window.removeEventListener(name, this.onEvent);
  }
}
