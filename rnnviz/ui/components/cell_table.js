// The cells of a table of numbers: their places, and which one Tab reaches. Cells are counted row by row, and
// created once per shape.

import { element } from "../../instrument/static/elements.js";

export class CellTable {
  constructor() {
    this.root = element("table");
    this.at = 0; // the cell that Tab reaches
    this.rows = this.columns = 0;
    /** @type {HTMLElement[]} */
    this.cells = [];
    set(this.root, { role: "grid", "aria-describedby": "hint" });
    this.root.addEventListener("focusin", (event) => this.onFocus(this.indexOf(event.target)));
  }

  /**
   * @param {number} rows
   * @param {number} columns
   */
  make(rows, columns) {
    Object.assign(this, { rows, columns, at: 0 });
    const head = element("tr");
    head.append(element("td"), ...numbered(columns, "columnheader", "col"));
    const lines = numbered(rows, "rowheader", "row").map((first) => {
      const line = element("tr");
      const cells = Array.from({ length: columns }, () => set(element("td"), { role: "gridcell" }));
      for (const cell of cells) cell.append(element("span"));
      line.append(first, ...cells);
      return line;
    });
    for (const line of [head, ...lines]) line.setAttribute("role", "row");
    this.root.replaceChildren(head, ...lines);
    this.cells = lines.flatMap((line) => [...line.cells].slice(1));
  }

  /** @param {number | undefined} index */
  onFocus(index) {
    if (index === undefined || index === this.at) return;
    this.cells[this.at].tabIndex = -1;
    this.cells[index].tabIndex = 0;
    this.at = index;
  }

  /** @param {number} index */
  row(index) {
    return Math.floor(index / this.columns);
  }

  /** @param {number} index */
  column(index) {
    return index % this.columns;
  }

  /** @param {EventTarget | null} target */
  indexOf(target) {
    const cell = /** @type {Element} */ (target).closest("[role=gridcell]");
    const index = this.cells.indexOf(/** @type {HTMLElement} */ (cell));
    return index < 0 ? undefined : index;
  }
}

/**
 * @param {number} count
 * @param {string} role
 * @param {string} scope
 */
function numbered(count, role, scope) {
  return Array.from({ length: count }, (_, at) =>
    Object.assign(set(element("th"), { role, scope }), { textContent: String(at) }),
  );
}

/**
 * @template {Element} Node
 * @param {Node} node
 * @param {Record<string, unknown>} attributes
 */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}
