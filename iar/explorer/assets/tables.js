// Every configuration and every category as tables; the first sorts by any column below the baseline, and picks.

let sorted = { column: -1, falling: true }; // -1: the order of the run

function drawTable() {
  const order = CONFIGURATIONS.map((_, index) => index).filter((index) => index !== BASELINE);
  const key = (index) => values(index, sorted.column)[0];
  if (sorted.column >= 0) {
    order.sort((a, b) => (key(a) === null) - (key(b) === null) || (sorted.falling ? key(b) - key(a) : key(a) - key(b)));
  }
  const sort = (number) => {
    sorted = number < 0 ? { column: -1, falling: true } : { column: number, falling: sorted.column !== number || !sorted.falling };
    drawTable();
    $("table").querySelectorAll("th button")[number + 1].focus();
  };
  const heading = (title, number) => {
    const on = sorted.column === number && number >= 0;
    return h("th", { scope: "col", "aria-sort": on ? (sorted.falling ? "descending" : "ascending") : null },
      h("button", { type: "button", class: "sort", onclick: () => sort(number) }, title, on ? (sorted.falling ? " ↓" : " ↑") : ""));
  };
  $("table").replaceChildren(h("table", { class: "scores" },
    h("thead", {}, h("tr", {}, heading("configuration", -1), COLUMNS.map((column, number) => heading(column.title, number)))),
    h("tbody", {}, [...(BASELINE === null ? [] : [BASELINE]), ...order].map((index) => h("tr", { class: index === chosen ? "on" : null },
      h("th", { scope: "row" },
        h("button", { type: "button", class: "pick", "aria-pressed": index === chosen, onclick: () => pick(index) }, CONFIGURATIONS[index].name),
        CONFIGURATIONS[index].pareto ? h("span", { title: "on the Pareto front" }, " ●") : "",
        index === BEST ? h("span", { title: "recommended" }, " ★") : ""),
      COLUMNS.map((_, number) => {
        const [value, low, high] = values(index, number);
        const title = low === null ? null : `${percent(low)} to ${percent(high)}`;
        return h("td", { title }, percent(value));
      }))))));
}

function drawCategories() {
  const { rows, values: cells } = CORE.categories;
  const groups = new Map(); // benchmark -> category -> metric -> row
  rows.forEach(([benchmark, category, metric], row) => {
    const found = groups.get(benchmark) ?? groups.set(benchmark, new Map()).get(benchmark);
    (found.get(category) ?? found.set(category, new Map()).get(category)).set(metric, row);
  });
  const tables = [...groups].map(([benchmark, categories]) => {
    const metrics = [...new Set([...categories.values()].flatMap((found) => [...found.keys()]))];
    const rank = (metric) => COLUMNS.findIndex((column) => column.benchmark === benchmark && column.metric === metric);
    metrics.sort((a, b) => rank(a) - rank(b));
    return h("table", { class: "scores" },
      h("caption", {}, benchmark),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "category"), metrics.map((metric) => h("th", { scope: "col" }, metric)))),
      h("tbody", {}, [...categories].map(([category, found]) => h("tr", {},
        h("th", { scope: "row" }, category),
        metrics.map((metric) => h("td", {}, found.has(metric) ? change(cells, found.get(metric)) : "")))))); 
  });
  $("categories").replaceChildren(...(tables.length ? tables : [h("p", { class: "caption" }, "No scores by category.")]));
}

/** `62.5 → 95.8`: the baseline's, and the chosen configuration's. */
function change(cells, row) {
  const value = cells[chosen][row];
  if (BASELINE === null || chosen === BASELINE) return [percent(value)];
  return [h("span", { class: "before" }, `${percent(cells[BASELINE][row])} → `), percent(value)];
}
