// Which samples are shown: by benchmark, category, what is expected, verdicts, what steering changed, and text.

const CHANGES = [
  ["", "any"], ["words", "words differ"], ["same", "same words"], ["verdict", "verdict differs"],
  ["better", "now right"], ["worse", "now wrong"], ["wrong", "wrong"],
];
const UNSCORED = "unscored";
const verdictOf = (known) => known.label ?? UNSCORED;
const distinct = (found) => [...new Set(found)].filter(Boolean).sort();
let visible = []; // indices of the samples that are shown, in their order
let searched = null; // text of every sample in small letters, with both answers; made when it is needed

const field = (name, text, control) => h("label", { class: `field field-${name}` }, h("span", {}, text), control);

function drawFilters() {
  const select = (name, text) =>
    field(name, text, h("select", { id: `filter-${name}`, onchange: (event) => filter(name, event.target.value) }));
  const search = h("input", {
    type: "search", id: "filter-q", placeholder: "prompt, answer, id", spellcheck: "false",
    oninput: (event) => show({ q: event.target.value }),
  });
  $("filters").replaceChildren(
    select("b", "benchmark"), select("cat", "category"), select("ref", "expected"), select("v0", "baseline verdict"),
    select("v", "verdict"), select("ch", "against the baseline"), field("q", "search", search),
    h("button", { type: "button", class: "quiet", id: "clear", onclick: clearFilters }, "Clear"));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}

// A category belongs to its benchmark, and so does what is expected.
const filter = (name, value) => show(name === "b" ? { b: value, cat: "", ref: "", v: "", v0: "" } : { [name]: value });
const clearFilters = () => show({ b: "", cat: "", ref: "", v: "", v0: "", ch: "", q: "" });

function fillFilters() {
  const of = SAMPLES.map((sample, index) => [sample, index]).filter(([sample]) => !state.b || sample.benchmark === state.b);
  const options = (found, name) => [["", "any"], ...distinct([...found, state[name]]).map((value) => [value, value])];
  const set = (name, found) => fill($(`filter-${name}`), options(found, name), state[name]);
  set("b", SAMPLES.map((sample) => sample.benchmark));
  set("cat", of.map(([sample]) => sample.category));
  set("ref", of.map(([sample]) => sample.reference));
  set("v", of.map(([, index]) => verdictOf(code(chosen, index))));
  set("v0", BASELINE === null ? [] : of.map(([, index]) => verdictOf(code(BASELINE, index))));
  fill($("filter-ch"), CHANGES, state.ch);
  if ($("filter-q").value !== state.q) $("filter-q").value = state.q;
  $("filter-v0").disabled = $("filter-ch").disabled = BASELINE === null;
}

function changed(index) {
  if (!state.ch || BASELINE === null) return true;
  const [before, after] = [code(BASELINE, index), code(chosen, index)];
  switch (state.ch) {
    case "words": return after.differs;
    case "same": return !after.differs;
    case "verdict": return before.label !== after.label;
    case "better": return after.right === true && before.right === false;
    case "worse": return after.right === false && before.right === true;
    case "wrong": return after.right === false;
    default: return true;
  }
}

/** Whether a sample passes every filter but those named and the text. */
function passes(index, ...without) {
  const sample = SAMPLES[index];
  const is = (name, value) => without.includes(name) || !state[name] || state[name] === value;
  return is("b", sample.benchmark) && is("cat", sample.category) && is("ref", sample.reference) &&
    is("v", verdictOf(code(chosen, index))) && (BASELINE === null || is("v0", verdictOf(code(BASELINE, index)))) && changed(index);
}

async function drawVisible() {
  fillFilters();
  const asked = JSON.stringify(state);
  const sought = state.q.trim().toLowerCase();
  const texts = sought ? await searchable() : null;
  if (JSON.stringify(state) !== asked) return; // something else was asked meanwhile
  visible = SAMPLES.map((_, index) => index).filter((index) => passes(index) && (!texts || texts[index].includes(sought)));
  const all = visible.length === SAMPLES.length;
  $("count").textContent = all ? `all ${SAMPLES.length.toLocaleString("en")}` : `${visible.length.toLocaleString("en")} of ${SAMPLES.length.toLocaleString("en")}`;
  drawMoves();
  drawList();
}

/** What the search looks at: id, prompt, and the answers of the baseline and the chosen configuration. */
async function searchable() {
  if (searched?.chosen !== chosen) {
    const found = await Promise.all(
      [chosen, BASELINE].map((index) => (index === null ? null : answers(index).catch(() => null))));
    const texts = SAMPLES.map((sample, index) =>
      [sample.id, sample.prompt, sample.query, ...found.map((of) => of?.(index).text ?? "")].join("\n").toLowerCase());
    searched = { chosen, texts };
  }
  return searched.texts;
}

/** How many samples went from which verdict to which; a click shows them. */
function drawMoves() {
  const place = $("moves");
  if (BASELINE === null || chosen === BASELINE) {
    place.replaceChildren(h("p", { class: "caption" }, "Pick a configuration other than the baseline."));
    return;
  }
  const counts = new Map();
  SAMPLES.forEach((_, index) => {
    if (!passes(index, "v", "v0")) return;
    const key = JSON.stringify([verdictOf(code(BASELINE, index)), verdictOf(code(chosen, index))]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  const pairs = [...counts.keys()].map((key) => JSON.parse(key));
  const [from, to] = [0, 1].map((side) => distinct(pairs.map((pair) => pair[side])));
  const button = (v0, v) => {
    const count = counts.get(JSON.stringify([v0, v])) ?? 0;
    const on = state.v0 === v0 && state.v === v;
    return !count ? h("td", { class: "none" }, "·") : h("td", { class: v0 === v ? "same" : null },
      h("button", { type: "button", "aria-pressed": on, "aria-label": `${count} samples: ${v0}, then ${v}`,
        onclick: () => show(on ? { v0: "", v: "" } : { v0, v }) }, count));
  };
  place.replaceChildren(h("table", { class: "moves" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "before \\ after"), to.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, from.map((v0) => h("tr", {}, h("th", { scope: "row" }, v0), to.map((v) => button(v0, v)))))));
}
