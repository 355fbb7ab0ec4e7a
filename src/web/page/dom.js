/** The only two ways in which this page makes elements. Text goes in as text nodes: what callers write is never markup. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Text that people outside chose: isolated, so that a right-to-left override in it turns nothing around it. */
export const theirs = (text, attributes = {}) => make("bdi", attributes, text);

/** Writes only what is new: an unchanged text node costs neither layout nor a screen reader's attention. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
