// Which words differ between two answers: the longest common subsequence of their words and signs.

const CELLS = 4_000_000; // of the table; beyond it what lies between the common ends is marked as a whole

/** [[text, differs], …] of both texts. */
function compare(one, other) {
  const [a, b] = [one, other].map((text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [keptA, keptB] = common(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const flags = (kept, length) => Array.from({ length }, (_, i) => i >= start && i < length - end && !kept.has(i - start));
  return [runs(a, flags(keptA, a.length)), runs(b, flags(keptB, b.length))];
}

/** Indices of the words of a longest common subsequence, in both. */
function common(a, b) {
  const kept = [new Set(), new Set()];
  if (a.length * b.length > CELLS) return kept;
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = a[i] === b[j]
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      kept[0].add(i++);
      kept[1].add(j++);
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}

/** Neighbours alike joined; a space between two words that differ differs with them. */
function runs(words, flags) {
  const found = [];
  words.forEach((word, i) => {
    const space = /^\s+$/.test(word);
    const differs = space && i > 0 && i < words.length - 1 ? flags[i - 1] && flags[i + 1] : flags[i];
    if (found.length && found.at(-1)[1] === differs) found.at(-1)[0] += word;
    else found.push([word, differs]);
  });
  return found;
}
