// Keys, light and dark, and who is told what.

function theme(choice) {
  const dark = choice ? choice === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (choice) document.documentElement.dataset.theme = choice;
  $("theme").textContent = dark ? "Light" : "Dark";
  $("theme").setAttribute("aria-pressed", dark);
  return dark ? "light" : "dark"; // what a click leads to
}

let remembered = null;
try {
  remembered = localStorage.getItem("iar-theme");
} catch {
  // a browser that lets no file keep anything
}
let other = theme(remembered);

function switchTheme() {
  try {
    localStorage.setItem("iar-theme", other);
  } catch {
    // as above: for this time only
  }
  other = theme(other);
  drawFrontier();
}

const KEYS = {
  j: () => walk(1), ArrowDown: () => walk(1), k: () => walk(-1), ArrowUp: () => walk(-1),
  "[": () => neighbour(-1), "]": () => neighbour(1), r: () => BEST !== null && pick(BEST),
  "/": () => $("filter-q").focus(), u: () => $("sample").querySelector(".unveil")?.click(),
  x: clearFilters, t: switchTheme, "?": () => $("keys").showModal(),
};

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (event.key === "Escape" && event.target.id === "filter-q") $("list").focus();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  // Arrows scroll the page, except where they walk: in the list, and nowhere in particular.
  if (event.key.startsWith("Arrow") && event.target !== $("list") && event.target !== document.body) return;
  event.preventDefault();
  KEYS[event.key]();
});

$("keys-open").addEventListener("click", () => $("keys").showModal());
$("theme").addEventListener("click", switchTheme);
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("list").focus();
});
$("list").addEventListener("scroll", drawRows, { passive: true });
new ResizeObserver(drawRows).observe($("list"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  other = theme(document.documentElement.dataset.theme ?? null);
  drawFrontier();
});

NARROW.addEventListener("change", () => requestAnimationFrame(drawFrontier));

drawPicker();
drawHeatmaps();
drawFilters();
onChange(["c"], drawTiles);
onChange(["c"], markHeatmaps);
onChange(["c"], drawTable);
onChange(["c"], drawCategories);
onChange(["x", "y", "i"], drawAxes);
onChange(["c", "x", "y", "i"], drawFrontier);
onChange(["c", "b", "cat", "ref", "v", "v0", "ch", "q"], drawVisible);
onChange(["s"], () => {
  const at = position();
  if (at >= 0) reveal(at);
  else if (!BY_KEY.has(state.s) && visible.length) show({ s: SAMPLES[startingSample()].key }); // an address without a sample
  drawRows();
});
onChange(["s", "c"], drawSample);
begin();
document.documentElement.dataset.ready = "";
