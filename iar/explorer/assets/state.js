// What is shown, and the address that says so: every state has a link of its own.

const START = Math.max(0, BEST ?? CONFIGURATIONS.length - 1);
const DEFAULTS = {
  c: CONFIGURATIONS[START].name, // configuration
  s: "", // sample, benchmark:id
  b: "", cat: "", ref: "", // benchmark, category, what is expected
  v: "", v0: "", ch: "", // verdict, verdict of the baseline, what steering changed
  q: "", // text
  x: "", y: "", i: "", // axes of the frontier, all intervals
};
let state = { ...DEFAULTS };
const listeners = [];
let chosen = START; // index of the configuration

/** Calls `listener(changed names)` whenever one of the names changes, and once at the beginning. */
function onChange(names, listener) {
  listeners.push({ names: new Set(names), listener });
}

/** Changes what is shown. `step`: with a step in the browser's history. */
function show(changes, step = false) {
  const before = state;
  state = { ...state, ...changes };
  const found = CONFIGURATIONS.findIndex((configuration) => configuration.name === state.c);
  chosen = found < 0 ? START : found;
  state.c = CONFIGURATIONS[chosen].name;
  const changed = Object.keys(DEFAULTS).filter((name) => before[name] !== state[name]);
  if (!changed.length) return;
  const address = toHash(state);
  if (address !== location.hash.slice(1)) {
    try {
      history[step ? "pushState" : "replaceState"](null, "", `#${address}`);
    } catch {
      location.hash = address; // a browser that lets no file write its history
    }
  }
  tell(changed);
}

function tell(changed) {
  for (const { names, listener } of listeners) if (changed.some((name) => names.has(name))) listener(changed);
}

const pick = (index) => show({ c: CONFIGURATIONS[index].name }, true);

function toHash(values) {
  const kept = Object.entries(values).filter(([name, value]) => value !== DEFAULTS[name]);
  return new URLSearchParams(kept).toString();
}

function fromHash(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, found.get(name) ?? value]));
}

for (const event of ["hashchange", "popstate"]) {
  addEventListener(event, () => show(fromHash(location.hash)));
}

/** Shows what the address says, for the first time. */
function begin() {
  state = fromHash(location.hash);
  const found = CONFIGURATIONS.findIndex((configuration) => configuration.name === state.c);
  chosen = found < 0 ? START : found;
  state.c = CONFIGURATIONS[chosen].name;
  tell(Object.keys(DEFAULTS));
}
