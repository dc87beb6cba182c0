// Elements of text and elements: nothing in this program parses markup, whatever a model wrote.

/** An element. Attributes: `class`, `on…` (a listener), aria-… (a word), true (without a value), null and false (left out), else text. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const $ = (id) => document.getElementById(id);

/** `95.8`, of a share; `–` where there is none. */
const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : (100 * share).toFixed(digits));

/** `+30.6`, of a difference of shares. */
function signed(share) {
  const text = percent(Math.abs(share));
  return text === "0.0" ? "±0.0" : (share > 0 ? "+" : "−") + text;
}

/** The options of a <select>: [value, text] pairs. */
function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  select.value = chosen;
}

/** A colour of the style sheet as rgb(…), which plotly understands; light and dark are resolved. */
function colour(name) {
  const probe = document.body.appendChild(h("span", { hidden: true }));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** The same colour, seen through. */
const faint = (rgb, alpha) => rgb.replace(/^rgb\(/, "rgba(").replace(/\)$/, `, ${alpha})`);
