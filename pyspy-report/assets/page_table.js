// page_table: self and total of each function, line or file of what is chosen: the numbers of `pyspy-report top`.

// What a frame counts for. Files: rows for processes and threads count for none, and what has no file goes by its name.
const KINDS = {
  function: { head: "Function", of: (f) => frames.func[f], size: () => functions.n, text: functionText, frame: (k) => functionFrame(k) },
  line: { head: "Line", of: (f) => f, size: () => frames.n, text: frameText, frame: (k) => k },
  file: {
    head: "File", size: () => 2 * strings.length,
    of: (f) => (frames.colour[f] >> 8 === ORIGIN_ROW ? -1 : frames.file[f] ? 2 * frames.file[f] : 2 * frames.name[f] + 1),
    text: (k) => strings[k >> 1], frame: (k) => fileFrame(k),
  },
};

// One frame of a group: for its colour.
let frameOfFunction = null, frameOfFile = null;

function functionFrame(k) {
  if (!frameOfFunction) {
    frameOfFunction = new Uint32Array(functions.n);
    for (let f = frames.n - 1; f >= 0; f--) frameOfFunction[frames.func[f]] = f;
  }
  return frameOfFunction[k];
}

function fileFrame(k) {
  if (!frameOfFile) {
    frameOfFile = new Map();
    for (let f = frames.n - 1; f >= 0; f--) frameOfFile.set(KINDS.file.of(f), f);
  }
  return frameOfFile.get(k);
}

// Nodes from .. until - 1 of a graph with callers above callees: a node and all below it. What is several times in one
// stack counts once.
function rankRows(graph, from, until, kind) {
  const { of, size } = KINDS[kind], n = size();
  const selfN = new Float64Array(n), selfNs = new Float64Array(n), totalN = new Float64Array(n), totalNs = new Float64Array(n);
  const open = new Uint32Array(n), path = [], base = graph.depth[from], seen = [];
  for (let i = from; i < until; i++) {
    while (path.length > graph.depth[i] - base) {
      const left = path.pop();
      if (left >= 0) open[left]--;
    }
    const f = graph.frame[i], k = f < frames.n ? of(f) : -1;
    path.push(k);
    if (k < 0) continue;
    selfN[k] += graph.selfN[i];
    selfNs[k] += graph.selfNs[i];
    if (open[k]++ === 0) {
      if (totalN[k] === 0 && totalNs[k] === 0 && (graph.totalN[i] || graph.totalNs[i])) seen.push(k);
      totalN[k] += graph.totalN[i];
      totalNs[k] += graph.totalNs[i];
    }
  }
  return seen.map((k) => ({ key: k, selfN: selfN[k], selfNs: selfNs[k], totalN: totalN[k], totalNs: totalNs[k], self: BY_TIME ? selfNs[k] : selfN[k], total: BY_TIME ? totalNs[k] : totalN[k] }));
}

const SORTS = {
  self: (a, b) => b.self - a.self || b.total - a.total || a.key - b.key,
  total: (a, b) => b.total - a.total || b.self - a.self || a.key - b.key,
  name: (a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : a.key - b.key),
};

// "name (some/long/path/file.py:12)" -> the name, and the end of the place, faint: the end tells more than the begin. The
// whole stands in the title.
function nameParts(words) {
  const [, name, place] = words.match(/^(.+) \(([^()]*)\)$/) || [];
  if (!place) return [make("bdi", { class: "function", text: words })];
  const end = place.split("/").slice(-2).join("/");
  return [make("bdi", { class: "function", text: name }), make("bdi", { class: "place", text: (end.length < place.length ? "\u2026/" : "") + end })];
}

const ROWS_AT_ONCE = 100;

class Table {
  constructor(onPick) {
    this.rows = [];
    this.limit = ROWS_AT_ONCE;
    this.onPick = onPick;
    byId("more").addEventListener("click", () => {
      const was = this.limit;
      this.limit += 5 * ROWS_AT_ONCE;
      this.draw();
      const row = byId("body").children[was];
      if (row) row.querySelector("button").focus();
    });
  }

  // rows of rankRows; whole: what shares are of; origins: those that are wanted, null = all
  show(rows, whole, kind, sort, origins, sought) {
    const { text, frame } = KINDS[kind];
    this.kind = kind;
    this.whole = whole;
    this.sought = sought;
    this.rows = rows.filter((r) => !origins || origins.has(originOf(frame(r.key))));
    if (sort === "name") for (const r of this.rows) r.text = text(r.key);
    this.rows.sort(SORTS[sort]);
    this.limit = ROWS_AT_ONCE;
    byId("name-head").textContent = KINDS[kind].head;
    for (const button of byId("table").querySelectorAll("thead button")) {
      const isIt = button.dataset.sort === sort;
      button.parentElement.setAttribute("aria-sort", !isIt ? "none" : sort === "name" ? "ascending" : "descending");
    }
    this.draw();
  }

  draw() {
    const body = byId("body"), more = byId("more"), rest = this.rows.length - this.limit;
    body.replaceChildren(...this.rows.slice(0, this.limit).map((r) => this.row(r)));
    if (!this.rows.length) body.append(make("tr", null, make("td", { colspan: "3", class: "none", text: "nothing here" })));
    more.hidden = rest <= 0;
    more.textContent = "Show more (" + count(Math.max(0, rest)) + " left)";
  }

  cell(part, n, ns) {
    const bar = make("span", { class: "bar" }), td = make("td", { title: amounts(n, ns) }, bar, make("span", { class: "share", text: percent(part, this.whole) }), make("span", { class: "amount", text: amount(part) }));
    bar.style.width = (this.whole ? 100 * part / this.whole : 0).toFixed(2) + "%";
    return td;
  }

  row(r) {
    const { text, frame } = KINDS[this.kind], words = r.text || text(r.key);
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = frameColour(frame(r.key));
    const button = make("button", { type: "button", title: words }, swatch, ...nameParts(words));
    button.addEventListener("click", () => this.onPick(words));
    const row = make("tr", { class: words === this.sought ? "sought" : "" }, this.cell(r.self, r.selfN, r.selfNs), this.cell(r.total, r.totalN, r.totalNs), make("td", { class: "name" }, button));
    Object.assign(row.dataset, { selfN: r.selfN, totalN: r.totalN, selfNs: r.selfNs, totalNs: r.totalNs });
    return row;
  }
}
