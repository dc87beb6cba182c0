// A small table a score: a row a place, a column a strength, a button a configuration.

const STRENGTHS = [...new Set(LINES.flatMap((line) => line.members.map((index) => CONFIGURATIONS[index].strength)))];
STRENGTHS.sort((a, b) => a - b);

function drawHeatmaps() {
  const wanted = COLUMNS.map((_, number) => number).filter((number) => COLUMNS[number].panel);
  const shown = wanted.length ? wanted : COLUMNS.map((_, number) => number).slice(0, 6);
  const place = $("heatmaps");
  place.replaceChildren(...(LINES.length ? shown.map(heatmap) : [h("p", { class: "caption" }, "Nothing is steered in this run.")]));
}

const SPAN = 0.1; // a map whose scores lie closer together is paler than others, not as strong

const mean = (numbers) => (numbers.length ? numbers.reduce((sum, number) => sum + number, 0) / numbers.length : null);

function heatmap(column) {
  const found = CONFIGURATIONS.map((_, index) => values(index, column)[0]).filter((value) => value !== null);
  const [low, high] = [Math.min(...found), Math.max(...found)];
  const rows = LINES.map((line) => h("tr", {},
    h("th", { scope: "row", title: line.name }, short(line.name)),
    STRENGTHS.map((strength) => {
      const members = line.members.filter((index) => CONFIGURATIONS[index].strength === strength);
      return h("td", {}, members.length ? cell(members, column, low, high) : "");
    })));
  const base = BASELINE === null ? null : values(BASELINE, column)[0];
  return h("table", { class: `heat ${COLUMNS[column].better < 0 ? "falling" : ""}` },
    h("caption", {}, h("b", {}, COLUMNS[column].title), base === null ? "" : ` base ${percent(base)}`),
    h("thead", {}, h("tr", {}, h("td", {}), STRENGTHS.map((strength) => h("th", { scope: "col" }, `×${strength}`)))),
    h("tbody", {}, rows));
}

function cell(members, column, low, high) {
  const value = mean(members.map((index) => values(index, column)[0]).filter((found) => found !== null));
  const share = value === null ? 0 : (value - low) / Math.max(SPAN, high - low);
  const name = CONFIGURATIONS[members[0]].name;
  const many = members.length > 1 ? `, mean of ${members.length} seeds; picks the first` : "";
  const button = h("button", {
    type: "button", class: `cell${share > 0.55 ? " deep" : ""}`, "data-members": members.join(" "),
    title: `${name}: ${percent(value)}${many}`, "aria-label": `${name}, ${COLUMNS[column].title} ${percent(value)}${many}`,
    onclick: () => pick(members.includes(chosen) ? chosen : members[0]),
  }, percent(value, 0));
  button.style.setProperty("--share", `${Math.round(8 + 84 * share)}%`);
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
