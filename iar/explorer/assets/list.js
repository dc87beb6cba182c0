// The samples as a list; only the rows in sight are in the page, however many there are.

const ROW = 54; // pixels; .row of the style sheet

const position = () => visible.indexOf(BY_KEY.get(state.s) ?? -1);

function drawList() {
  const list = $("list");
  list.replaceChildren(h("div", { class: "list-room", role: "presentation" }));
  list.firstChild.style.height = `${visible.length * ROW}px`;
  if (!visible.length) list.replaceChildren(h("p", { class: "caption" }, "No sample passes the filters."));
  const at = position();
  if (at < 0 && visible.length) {
    list.scrollTop = 0;
    show({ s: SAMPLES[startingSample()].key });
  } else if (at >= 0) reveal(at);
  drawRows();
}

/** The first sample that has another verdict than at the baseline, best one that is right now; else the first. */
function startingSample() {
  const other = (index) => BASELINE !== null && code(BASELINE, index).label !== code(chosen, index).label;
  const mended = (index) => code(BASELINE, index).right === false && code(chosen, index).right === true;
  const moved = visible.filter(other);
  return moved.find(mended) ?? moved[0] ?? visible[0];
}

function reveal(at) {
  const list = $("list");
  if (at * ROW < list.scrollTop) list.scrollTop = at * ROW;
  else if ((at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * ROW - list.clientHeight;
}

function drawRows() {
  const list = $("list");
  const room = list.querySelector(".list-room");
  if (!room) return;
  const from = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const to = Math.min(visible.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  const at = position();
  const rows = [];
  for (let i = from; i < to; i += 1) rows.push(row(i, i === at));
  room.replaceChildren(...rows);
  if (at >= from && at < to) list.setAttribute("aria-activedescendant", `row-${at}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(i, on) {
  const index = visible[i];
  const sample = SAMPLES[index];
  const before = BASELINE === null || chosen === BASELINE ? null : dot(code(BASELINE, index), "baseline");
  const element = h("div", {
    class: `row${on ? " on" : ""}`, role: "option", id: `row-${i}`, "aria-selected": on, "aria-setsize": visible.length,
    "aria-posinset": i + 1, onclick: () => show({ s: sample.key }),
  },
  h("span", { class: "dots" }, before, before && h("span", { class: "to" }, "→"), dot(code(chosen, index), CONFIGURATIONS[chosen].name)),
  h("span", { class: "row-text" },
    h("span", { class: "row-prompt" }, sample.query || sample.prompt || sample.id),
    h("span", { class: "row-id" },
      code(chosen, index).differs ? h("span", { title: "the words differ from the baseline's", class: "differs" }, "≠ ") : "",
      `${sample.benchmark} · ${sample.id}`)));
  element.style.top = `${i * ROW}px`;
  return element;
}

const MARKS = { true: "✓", false: "✗", null: "?" };

/** Right or wrong as a small mark, which also is a word for those who do not see it. */
function dot(known, whose) {
  const word = known.right === null ? "cannot be said" : known.right ? "right" : "wrong";
  return h("span", {
    class: `dot ${known.right === null ? "open" : known.right ? "right" : "wrong"}`, role: "img",
    title: `${whose}: ${verdictOf(known)}`, "aria-label": `${whose}: ${verdictOf(known)}, ${word}`,
  }, MARKS[known.right]);
}

/** The next or the previous sample. */
function walk(step) {
  if (!visible.length) return;
  const at = Math.min(visible.length - 1, Math.max(0, position() + step));
  show({ s: SAMPLES[visible[at]].key });
}
