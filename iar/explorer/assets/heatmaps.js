// A small table a score: a row a place, a column a strength, a button a configuration.

const STRENGTHS = [...new Set(LINES.flatMap((line) => line.members.map((index) => CONFIGURATIONS[index].strength)))];
STRENGTHS.sort((a, b) => a - b);

function drawHeatmaps() {
  const wanted = COLUMNS.map((_, number) => number).filter((number) => COLUMNS[number].panel);
  const shown = wanted.length ? wanted : COLUMNS.map((_, number) => number).slice(0, 6);
  const place = $("heatmaps");
  place.replaceChildren(...(LINES.length ? shown.map(heatmap) : [h("p", { class: "caption" }, "Nothing is steered in this run.")]));
}

// The colour is the change to the baseline, as in heatmaps.png: even within EVEN points, logarithmic beyond.
const { colours: SHADES, even: EVEN, full: FULL } = CORE.change;
const PARTS = SHADES.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));

/** Points of change, more is better -> red, green and blue. */
function tint(points) {
  const even = 10 / 9; // as matplotlib's SymLogNorm: the even part is as long as a decade
  const stretch = (size) => (size <= EVEN ? size * even : EVEN * (even + Math.log10(size / EVEN)));
  const share = 0.5 + (0.5 * Math.sign(points) * stretch(Math.min(FULL, Math.abs(points)))) / stretch(FULL);
  const at = Math.min(PARTS.length - 2, Math.floor(share * (PARTS.length - 1)));
  const rest = share * (PARTS.length - 1) - at;
  return PARTS[at].map((part, i) => Math.round(part + (PARTS[at + 1][i] - part) * rest));
}

const mean = (numbers) => (numbers.length ? numbers.reduce((sum, number) => sum + number, 0) / numbers.length : null);

function heatmap(column) {
  const rows = LINES.map((line) => h("tr", {},
    h("th", { scope: "row", title: line.name }, short(line.name)),
    STRENGTHS.map((strength) => {
      const members = line.members.filter((index) => CONFIGURATIONS[index].strength === strength);
      return h("td", {}, members.length ? cell(members, column) : "");
    })));
  const base = BASELINE === null ? null : values(BASELINE, column)[0];
  return h("table", { class: "heat" },
    h("caption", {}, h("b", {}, COLUMNS[column].title), base === null ? "" : ` baseline ${percent(base)}`),
    h("thead", {}, h("tr", {}, h("td", {}), STRENGTHS.map((strength) => h("th", { scope: "col" }, `×${strength}`)))),
    h("tbody", {}, rows));
}

function cell(members, column) {
  const value = mean(members.map((index) => values(index, column)[0]).filter((found) => found !== null));
  const base = BASELINE === null ? null : values(BASELINE, column)[0];
  const better = value === null || base === null ? 0 : 100 * COLUMNS[column].better * (value - base);
  const rgb = tint(better);
  const deep = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] < 127.5;
  const name = CONFIGURATIONS[members[0]].name;
  const many = members.length > 1 ? `, mean of ${members.length} seeds; picks the first` : "";
  const button = h("button", {
    type: "button", class: `cell${deep ? " deep" : ""}${members.includes(BEST) ? " best" : ""}`, "data-members": members.join(" "),
    title: `${name}: ${percent(value)}${many}`, "aria-label": `${name}, ${COLUMNS[column].title} ${percent(value)}${many}`,
    onclick: () => pick(members.includes(chosen) ? chosen : members[0]),
  }, percent(value, 0));
  button.style.background = `rgb(${rgb.join(" ")})`;
  return button;
}

/** `layer 14` as `L14`: the small tables have little room. */
const short = (name) => name.replace(/\blayer /g, "L").replace(/\bheads of /, "h ").replace(/\brandom\b/, "rnd");

function markHeatmaps() {
  for (const button of $("heatmaps").querySelectorAll(".cell")) {
    const own = button.dataset.members.split(" ").includes(String(chosen));
    button.setAttribute("aria-pressed", own);
  }
}
