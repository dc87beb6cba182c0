// The configurations as points in two scores. A click picks one; its line joins the strengths of one place.
// Marks, lines and colours are those of the figures (iar.plots.style).

const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x"];
const DASHES = ["solid", "dash", "dashdot", "dot", "longdashdot"];
const NARROW = matchMedia("(max-width: 600px)");
const HUES = 6; // --line0 … --line5

const named = (title, otherwise) => {
  const found = COLUMNS.findIndex((column) => column.title === title);
  return found < 0 ? otherwise : found;
};
const AXIS_X = named("helpfulness", named("SRA_s", 0));
const AXIS_Y = named("SRA_a", Math.min(1, COLUMNS.length - 1));
const axes = () => [named(state.x, AXIS_X), named(state.y, AXIS_Y)];

function drawAxes() {
  for (const [id, key, standard] of [["axis-x", "x", AXIS_X], ["axis-y", "y", AXIS_Y]]) {
    fill($(id), COLUMNS.map((column) => [column.title, column.title]), COLUMNS[named(state[key], standard)].title);
    $(id).onchange = (event) =>
      show({ [key]: event.target.value === COLUMNS[standard].title ? "" : event.target.value }, true);
  }
  $("intervals").checked = state.i === "all";
  $("intervals").onchange = (event) => show({ i: event.target.checked ? "all" : "" });
}

// plotly reads a few tags in its texts.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const scaled = (share) => (share === null || share === undefined ? null : 100 * share);
const hue = (number) => colour(`line${number % HUES}`);

function points(members, x, y) {
  return {
    x: members.map((index) => scaled(values(index, x)[0])),
    y: members.map((index) => scaled(values(index, y)[0])),
    customdata: members,
    text: members.map((index) => plain(CONFIGURATIONS[index].name)),
    hovertemplate: `<b>%{text}</b><br>${plain(COLUMNS[y].title)} %{y:.1f}<br>${plain(COLUMNS[x].title)} %{x:.1f}<extra></extra>`,
  };
}

/** Whiskers (of the upright score; of both where all are asked for), without points that could be clicked. */
function whiskers(members, x, y, rgb, width) {
  const across = state.i === "all";
  const error = (column) => {
    const found = members.map((index) => values(index, column));
    return {
      type: "data", symmetric: false, color: rgb, thickness: width, width: 0,
      array: found.map(([value, , high]) => (high === null ? 0 : scaled(high - value))),
      arrayminus: found.map(([value, low]) => (low === null ? 0 : scaled(value - low))),
    };
  };
  return {
    ...points(members, x, y), mode: "markers", hoverinfo: "skip", hovertemplate: null, showlegend: false,
    marker: { opacity: 0, size: 1 }, error_x: across ? error(x) : { visible: false }, error_y: error(y),
  };
}

function traces(x, y) {
  const all = CONFIGURATIONS.map((_, index) => index);
  const ink = colour("ink");
  const muted = colour("muted");
  const usual = x === AXIS_X && y === AXIS_Y;
  const front = usual ? all.filter((index) => CONFIGURATIONS[index].pareto) : [];
  front.sort((a, b) => values(a, x)[0] - values(b, x)[0] || values(b, y)[0] - values(a, y)[0]);
  const marked = state.i === "all" ? all : [...new Set([...front, ...(BASELINE === null ? [] : [BASELINE])])];
  const drawn = [whiskers(marked, x, y, faint(muted, 0.45), 1), whiskers([chosen], x, y, colour("accent"), 1.6)];
  if (front.length) {
    drawn.push({
      ...points(front, x, y), mode: "lines", line: { shape: "vh", color: faint(muted, 0.8), width: 1.2 },
      name: "Pareto front", hoverinfo: "skip", hovertemplate: null,
    });
  }
  const strongest = Math.max(...CONFIGURATIONS.map((c) => Math.abs(c.strength)), 1e-9);
  let number = 0;
  const controls = [];
  for (const line of LINES) {
    if (line.control) {
      controls.push(...line.members);
      continue;
    }
    const start = line.name.includes(",") || BASELINE === null ? [] : [BASELINE]; // a prompted line starts elsewhere
    const members = [...start, ...line.members];
    const rgb = hue(number);
    drawn.push({
      ...points(members, x, y), mode: "lines+markers", name: plain(line.name),
      line: { color: faint(rgb, 0.75), width: 1.5, dash: DASHES[number % DASHES.length] },
      marker: {
        color: rgb, symbol: SYMBOLS[number % SYMBOLS.length], line: { color: colour("card"), width: 1 }, opacity: 1,
        size: members.map((index) => 7 + (6 * Math.abs(CONFIGURATIONS[index].strength)) / strongest),
      },
    });
    number += 1;
  }
  if (controls.length) {
    drawn.push({
      ...points(controls, x, y), mode: "markers", name: "random controls",
      marker: { symbol: "x-thin", size: 7, color: muted, line: { color: faint(muted, 0.9), width: 1.4 } },
    });
  }
  const said = all.filter((index) => CONFIGURATIONS[index].prompting && !CONFIGURATIONS[index].place);
  if (said.length) {
    drawn.push({
      ...points(said, x, y), mode: "markers", name: "prompted",
      marker: { symbol: "diamond-open", size: 10, color: ink, line: { color: ink, width: 1.5 } },
    });
  }
  if (BASELINE !== null) {
    drawn.push({ ...points([BASELINE], x, y), mode: "markers", name: "baseline", marker: { symbol: "hexagon2", size: 13, color: ink } });
  }
  const ring = (index, size, rgb, width) => ({
    ...points([index], x, y), mode: "markers", hoverinfo: "skip", hovertemplate: null, showlegend: false,
    marker: { symbol: "circle-open", size, color: rgb, line: { color: rgb, width } },
  });
  return [...drawn, ...front.map((index) => ring(index, 19, faint(ink, 0.55), 1)), ring(chosen, 24, colour("accent"), 3)];
}

/** The points with room around them; whiskers may run out of the picture, unless all of them are asked for. */
function range(column) {
  const found = CONFIGURATIONS.map((_, index) => scaled(values(index, column)[0])).filter((value) => value !== null);
  if (state.i === "all" || !found.length) return { autorange: true };
  const [low, high] = [Math.min(...found), Math.max(...found)];
  const room = Math.max(0.14 * (high - low), 0.4);
  return { range: [low - room, high + room] };
}

/** The recommended point's name, on the side where there is room. */
function annotations(x, y) {
  const [across, up] = BEST === null ? [null, null] : [values(BEST, x)[0], values(BEST, y)[0]];
  if (across === null || up === null) return [];
  const found = CONFIGURATIONS.map((_, index) => values(index, x)[0]).filter((value) => value !== null);
  const left = across < (Math.min(...found) + Math.max(...found)) / 2;
  return [{
    x: scaled(across), y: scaled(up), text: "<b>★ recommended</b>", showarrow: true, arrowhead: 0, arrowwidth: 1, standoff: 12,
    arrowcolor: colour("muted"), ax: left ? 34 : -34, ay: -26, xanchor: left ? "left" : "right", font: { size: 12 },
    bgcolor: faint(colour("card"), 0.8), captureevents: false,
  }];
}

function layout(x, y) {
  const ink = colour("ink");
  const narrow = NARROW.matches;
  const axis = (column) => ({
    ...range(column),
    title: { text: `${plain(COLUMNS[column].title)} (%)`, font: { size: 12 }, standoff: 8 },
    gridcolor: colour("rule"), zeroline: false, linecolor: colour("rule"), ticks: "", automargin: true, nticks: 7,
  });
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
    margin: { l: 48, r: 10, t: 8, b: 40 }, hovermode: "closest",
    height: narrow ? 450 : 600, // as the style sheet has it
    xaxis: axis(x), yaxis: axis(y), annotations: annotations(x, y),
    legend: {
      orientation: "h", y: narrow ? -0.2 : -0.13, x: 0, font: { size: narrow ? 10 : 11 }, itemclick: false, itemdoubleclick: false,
      entrywidth: narrow ? 0.48 : 120, entrywidthmode: narrow ? "fraction" : "pixels",
    },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("rule"), font: { color: ink, size: 12 }, align: "left" },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", uirevision: `${x} ${y} ${state.i}`,
  };
}

async function drawFrontier() {
  if (COLUMNS.length < 1) return;
  const [x, y] = axes();
  const place = $("frontier");
  const first = !place.data;
  await Plotly.react(place, traces(x, y), layout(x, y), { displayModeBar: false, responsive: true, doubleClick: "reset" });
  if (first) {
    place.on("plotly_click", (event) => {
      const hit = event.points.find((point) => Number.isInteger(point.customdata));
      if (hit) pick(hit.customdata);
    });
  }
  const usual = x === AXIS_X && y === AXIS_Y && CONFIGURATIONS.some((configuration) => configuration.pareto);
  $("frontier-caption").textContent =
    "Whiskers: 95 % intervals, clustered by image; larger marks are stronger. A click picks a configuration, a drag zooms, a double click zooms out." +
    (usual ? " Thin rings: the Pareto front; random directions do not count." : "");
}
