// One sample: what was asked, the picture, both answers with the words that differ, and every configuration's verdict.

const unveiled = new Set(); // of the pictures that were asked for, as long as the page is open

async function drawSample() {
  const index = BY_KEY.get(state.s);
  const place = $("sample");
  if (index === undefined) {
    place.replaceChildren();
    return;
  }
  const sample = SAMPLES[index];
  const asked = [state.s, chosen].join(" ");
  const sides = await Promise.all(
    (BASELINE === null || BASELINE === chosen ? [chosen] : [BASELINE, chosen])
      .map((configuration) => answers(configuration).then((of) => ({ configuration, ...of(index) }), (error) => ({ configuration, error }))));
  if ([state.s, chosen].join(" ") !== asked) return; // another was asked for meanwhile
  const words = sides.length === 2 && sides.every((side) => typeof side.text === "string")
    ? compare(sides[0].text, sides[1].text) : sides.map((side) => [[side.text ?? "", false]]);
  place.replaceChildren(
    h("header", { class: "sample-head" },
      h("h3", {}, sample.id),
      h("p", { class: "tags" }, [sample.benchmark, sample.category].filter(Boolean).map((tag) => h("span", { class: "tag" }, tag)),
        sample.reference ? h("span", { class: `tag expected ${sample.reference === "unsafe" ? "unsafe" : ""}` }, `expected: ${sample.reference}`) : "")),
    h("div", { class: `asked${sample.images.length ? " pictured" : ""}` },
      h("div", { class: "prompt" }, h("h4", {}, "Prompt"),
        h("p", { class: "text", dir: "auto" }, sample.prompt || "The questions of this run were not found: see the note above."),
        sample.query ? [h("h4", {}, "As the judge reads it"), h("p", { class: "text", dir: "auto" }, sample.query)] : "",
        sample.meta.length ? h("dl", { class: "meta" }, sample.meta.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value)))) : ""),
      sample.images.map((number) => figure(sample, number))),
    h("div", { class: `sides${sides.length === 1 ? " single" : ""}` }, sides.map((side, i) => answer(side, index, words[i], sides.length === 2 && i === 0))),
    h("div", { class: "strip" }, h("h4", {}, "Every configuration on this sample"), strip(index)));
}

function figure(sample, number) {
  const veil = sample.veiled && !unveiled.has(number);
  const image = h("img", { alt: veil ? "a picture of a harmful category, blurred" : `picture of ${sample.id}` });
  const frame = h("figure", { class: `picture${veil ? " veiled" : ""}` }, image);
  picture(number).then((uri) => {
    image.addEventListener("load", () => frame.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) < 160));
    image.src = uri; // from the page itself, and the content policy lets no other be loaded
  }, (error) => frame.append(h("figcaption", { class: "error" }, error.message)));
  if (veil) {
    frame.append(h("button", { type: "button", class: "unveil", onclick: () => unveil(number) }, "Show the picture", h("small", {}, sample.category)));
  }
  return frame;
}

function unveil(number) {
  unveiled.add(number);
  drawSample();
}

function answer(side, index, words, first) {
  const known = code(side.configuration, index);
  const name = CONFIGURATIONS[side.configuration].name;
  const head = h("header", {}, h("h4", {}, side.configuration === BASELINE ? "baseline" : name),
    h("span", { class: `chip ${known.right === null ? "open" : known.right ? "right" : "wrong"}` },
      `${MARKS[known.right]} ${side.label ?? UNSCORED}`),
    side.toxic ? h("span", { class: "chip wrong" }, "toxic") : "");
  if (side.error) return h("section", { class: "side" }, head, h("p", { class: "error" }, side.error.message));
  const mark = first ? "del" : "ins";
  const text = side.text === null
    ? h("p", { class: "empty" }, "no answer")
    : h("p", { class: "text answer", dir: "auto" }, words.map(([part, differs]) => (differs ? h(mark, {}, part) : part)));
  if (side.text === "") text.append(h("span", { class: "empty" }, "an empty answer"));
  const why = [side.failure, side.reason].filter(Boolean).join(": ");
  return h("section", { class: "side", "aria-label": `answer of ${name}` }, head, text,
    h("footer", {}, why ? h("p", { class: "reason", dir: "auto" }, h("b", {}, side.judge || "judge"), " ", why) : "",
      side.tokens === null ? "" : h("p", { class: "tokens" }, `${side.tokens} tokens`)));
}

/** A button a configuration, in lines of rising strength. */
function strip(index) {
  return h("div", { class: "strip-lines" }, groupsOfConfigurations().map(([name, members]) => h("div", { class: "strip-line" },
    h("span", { class: "strip-name" }, name),
    h("span", { class: "strip-cells" }, members.map((configuration) => {
      const known = code(configuration, index);
      const found = CONFIGURATIONS[configuration];
      return h("button", {
        type: "button", class: `bead ${known.right === null ? "open" : known.right ? "right" : "wrong"}`,
        "aria-pressed": configuration === chosen, title: `${found.name}: ${verdictOf(known)}`,
        "aria-label": `${found.name}: ${verdictOf(known)}`, onclick: () => pick(configuration),
      }, MARKS[known.right], h("small", {}, found.place ? `×${found.strength}` : found.prompting || "none"));
    })))));
}
