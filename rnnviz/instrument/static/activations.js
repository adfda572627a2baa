// Short names of activations, which the payload names as rnnviz.activations does.

/** @type {Record<string, string>} */
const FUNCTIONS = { identity: "id", sigmoid: "σ" };

/** @param {string} activation */
export function nameOf(activation) {
  return FUNCTIONS[activation] ?? activation;
}

/**
 * The name of a gate's activation where it is not σ of a gate or tanh of a candidate, else "".
 *
 * @param {Record<string, string>} activations
 * @param {string} gate
 */
export function nameIfUnusual(activations, gate) {
  const usual = gate.endsWith("_gate") ? "sigmoid" : "tanh";
  const activation = activations[gate] ?? usual;
  // in the drawing of an RNN a sign has the name
  return gate === "hidden" || activation === usual ? "" : nameOf(activation);
}
