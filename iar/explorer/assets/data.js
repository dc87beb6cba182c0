// The parts of the page: inside it, or scripts beside it. Packed as base64 of deflated JSON.

const TOKEN = document.documentElement.dataset.token;
const BESIDE = document.documentElement.dataset.beside;
const arrived = new Map(); // name -> packed, of scripts beside the page
const wanted = new Map(); // name -> promise of the content

/** What a part beside the page calls. */
globalThis.iarPart = (token, name, packed) => arrived.set(name, { token, packed });

/** The content of a part; rejected with a sentence where it is missing, broken or of another page. */
function part(name) {
  if (!wanted.has(name)) {
    wanted.set(name, fetched(name).then(unpacked));
    wanted.get(name).catch(() => wanted.delete(name)); // it may be there the next time
  }
  return wanted.get(name);
}

async function fetched(name) {
  const inside = document.querySelector(`script[data-part="${name}"]`);
  if (inside) return inside.textContent;
  const place = `${BESIDE}/${name}.js`;
  if (!BESIDE) throw new Error(`This page lacks its part ${name}: write it again.`);
  await new Promise((resolve, reject) => {
    const script = h("script", { src: place, onload: resolve });
    script.addEventListener("error", () =>
      reject(new Error(`${place} is missing: keep the folder ${BESIDE} beside this page, or write the report again.`)));
    document.head.append(script);
  });
  const found = arrived.get(name);
  arrived.delete(name);
  if (!found || found.token !== TOKEN) {
    throw new Error(`${place} belongs to another report: write this one again.`);
  }
  return found.packed;
}

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const FIRST = 35; // see iar.explorer.answers
const CORE = await part("core").catch((error) => {
  $("failure").textContent = `The data of this page cannot be read: ${error.message}`;
  $("failure").hidden = false;
  throw error;
});
const { configurations: CONFIGURATIONS, columns: COLUMNS, lines: LINES, baseline: BASELINE, recommended: BEST } = CORE;
const { texts: TEXTS, labels: LABELS } = CORE.samples;
const SAMPLES = CORE.samples.rows.map(([benchmark, id, category, reference, prompt, query, images, veiled, meta]) => ({
  benchmark: TEXTS[benchmark],
  id,
  key: `${TEXTS[benchmark]}:${id}`,
  category: TEXTS[category],
  reference: TEXTS[reference],
  prompt: TEXTS[prompt],
  query: TEXTS[query],
  images,
  veiled: Boolean(veiled),
  meta: meta.map(([name, value]) => [TEXTS[name], TEXTS[value]]),
}));
const BY_KEY = new Map(SAMPLES.map((sample, index) => [sample.key, index]));

/** What is known of an answer without its text: label (null: unscored), right (null: cannot be said), differs. */
function code(configuration, sample) {
  const number = CORE.codes[configuration].charCodeAt(sample) - FIRST;
  return {
    label: LABELS[Math.floor(number / 6)] ?? null,
    right: [false, true, null][Math.floor(number / 2) % 3],
    differs: number % 2 === 1,
  };
}

/** The answers of a configuration: index of a sample -> { text (null: none), tokens, label, reason, failure, judge, toxic }. */
async function answers(configuration) {
  const [own, base] = await Promise.all([
    part(`answers${configuration}`),
    BASELINE === null ? null : part(`answers${BASELINE}`),
  ]);
  return (sample) => {
    const number = own.answers[sample];
    const [label, reason, failure, judge, toxic] = own.verdicts[own.verdict[sample]];
    const text = number === -2 ? null : number === -1 ? base.texts[base.answers[sample]] : own.texts[number];
    return {
      text, label, failure, toxic, tokens: own.tokens[sample], reason: own.reasons[reason], judge: own.judges[judge] ?? "",
    };
  };
}

/** The data URI of a picture. */
async function picture(number) {
  let at = number;
  for (const [name, count] of CORE.images) {
    if (at < count) return (await part(`images${name}`))[at];
    at -= count;
  }
  throw new Error("There is no such picture.");
}
