// A piece of HTML from Python, which a slider that is dragged replaces until the page has caught up.

const instances = new WeakMap();
const HEARD = ["rnnviz-live", "rnnviz-settled"];

export default function (component) {
  const { data, parentElement } = component;
  let words = instances.get(parentElement);
  if (!words) {
    words = new Words(parentElement);
    instances.set(parentElement, words);
  }
  words.data = data;
  words.root.dataset.rnnvizFollows = data.key;
  const { ahead, told, moves } = window.rnnvizPage ?? {};
  // what followed the hand stays where it is of its last move, which the page may not know yet
  if (!ahead?.size || told.get(data.key) !== moves) words.live = undefined;
  words.show();
  // Streamlit calls this for an update that a newer one overtook, too.
  return () => setTimeout(() => words.root.isConnected || words.stop());
}

class Words {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.setAttribute("aria-live", "polite");
    parent.appendChild(this.root);
    this.hears = ({ detail }) => {
      const said = detail?.[this.data.key]; // JSON; nothing where it cannot be had
      if (detail && !said) return;
      this.live = said && JSON.parse(said);
      this.show();
    };
    for (const name of HEARD) window.addEventListener(name, this.hears);
  }

  show() {
    const html = this.live ?? this.data.html;
    if (html !== this.html) this.root.innerHTML = html;
    this.html = html;
  }

  stop() {
    for (const name of HEARD) window.removeEventListener(name, this.hears);
  }
}
