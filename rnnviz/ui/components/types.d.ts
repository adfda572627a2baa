// The arguments of a component's script, and the types that the scripts of a page share.

// The argument of a component's default export. Data are bytes where Python packs them (packing.py).
export interface ComponentArguments<Data = Uint8Array> {
  data: Data;
  parentElement: HTMLElement;
  setTriggerValue(name: string, value: unknown): void;
}

// The header of a chart's data (chart.py); the figure's JSON comes after it.
export interface ChartHeader {
  key: string;
  alt: string;
  failed: string;
  save: string; // the name of the button that saves an image; without one, no button
  height: number;
  clicks: boolean;
  chunk: string; // the file in which Streamlit ships Plotly, if it does
  library?: undefined;
}

// Instead of it: Plotly's own code comes after this header.
export interface LibraryHeader {
  library: true;
}

// New figures and texts by key; empty if there is none for the current value.
export type LiveEvent = CustomEvent<Record<string, string> | null>;

declare global {
  // the style sheets of a component, as text, in front of its script (script.py)
  const STYLES: string;
  // what a component shows on every page, likewise: by language
  // biome-ignore lint/suspicious/noExplicitAny: each component has its own
  const CONTENT: Record<string, any>;
  interface Window {
    rnnvizPage?: import("./pending.js").PageState;
  }
  interface WindowEventMap {
    "rnnviz-live": LiveEvent;
    "rnnviz-settled": LiveEvent;
    "rnnviz-available": LiveEvent;
  }
}
