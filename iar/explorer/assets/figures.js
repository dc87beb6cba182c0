// The chosen configuration: its list, and its scores beside the baseline's.

const values = (configuration, column) => CONFIGURATIONS[configuration].values[column] ?? [null, null, null];

/** p as papers write it. */
function pValue(p) {
  if (p === null || p === undefined) return "";
  return p < 0.001 ? "p < .001" : p >= 0.9995 ? "p = 1" : `p = ${p.toFixed(3).replace(/^0/, "")}`;
}

function groupsOfConfigurations() {
  const inLines = new Set(LINES.flatMap((line) => line.members));
  const alone = CONFIGURATIONS.map((_, index) => index).filter((index) => !inLines.has(index));
  return [["unsteered", alone], ...LINES.map((line) => [line.name, line.members])].filter(([, members]) => members.length);
}
const ORDER = groupsOfConfigurations().flatMap(([, members]) => members);

function drawPicker() {
  const groups = groupsOfConfigurations().map(([name, members]) =>
    h("optgroup", { label: name }, members.map((index) => {
      const marks = (CONFIGURATIONS[index].pareto ? " ●" : "") + (index === BEST ? " ★" : "");
      return h("option", { value: CONFIGURATIONS[index].name }, CONFIGURATIONS[index].name + marks);
    })));
  $("configuration").replaceChildren(...groups);
  $("configuration").addEventListener("change", (event) => show({ c: event.target.value }, true));
  $("previous").addEventListener("click", () => neighbour(-1));
  $("next").addEventListener("click", () => neighbour(1));
  $("best").hidden = BEST === null;
  $("best").addEventListener("click", () => pick(BEST));
}

function neighbour(step) {
  pick(ORDER[(ORDER.indexOf(chosen) + step + ORDER.length) % ORDER.length]);
}

function drawTiles() {
  $("configuration").value = state.c;
  const found = CONFIGURATIONS[chosen];
  const said = [];
  if (chosen === BEST) said.push(...CORE.why.map((text) => `${text}.`));
  if (found.pareto) {
    const often = found.share === null || found.share === undefined ? "" : ` (in ${percent(found.share, 0)} % of bootstrap draws)`;
    said.push(`● No other point is better in both SRA_a and helpfulness${often}.`);
  }
  if (found.control) said.push("A random direction of the same length: the price of any push.");
  if (chosen === BASELINE) said.push("The baseline: nothing is added.");
  $("why").textContent = said.join(" ");
  $("tiles-caption").hidden = BASELINE === null;
  $("tiles").replaceChildren(...COLUMNS.map((column, number) => tile(column, number)));
}

function tile(column, number) {
  const [value, low, high] = values(chosen, number);
  const change = CONFIGURATIONS[chosen].changes[number];
  const base = BASELINE === null ? null : values(BASELINE, number)[0];
  let beside = "";
  if (chosen !== BASELINE && value !== null && base !== null) {
    const difference = change ? change[0] : value - base;
    const sure = change && change[3] !== null ? change[3] < 0.05 : false; // what may be chance has no colour
    const good = sure ? Math.sign(difference) * column.better : 0;
    const interval = change ? `95 % interval of the difference: ${signed(change[1])} to ${signed(change[2])}; ` : "";
    beside = h("span", {
      class: `change ${good > 0 ? "good" : good < 0 ? "bad" : ""}`,
      title: `${interval}baseline ${percent(base)}`,
    }, signed(difference), change && change[3] !== null ? h("small", {}, ` ${pValue(change[3])}`) : "");
  }
  return h("div", { class: "tile" },
    h("span", { class: "tile-name" }, column.title),
    h("span", { class: "tile-value" }, percent(value)),
    h("span", { class: "tile-interval" }, low === null || low === undefined ? "" : `${percent(low)} to ${percent(high)}`),
    chosen === BASELINE || base === null ? "" : h("span", { class: "tile-base" }, `baseline ${percent(base)}`),
    beside);
}
