// page_main: state -> everything on the page; mouse, keys and touch -> state.
let state = { ...BEGIN };
let graph = null, forward = null, inverse = null; // what is drawn; callers above callees, of the same selection; invertTree's
let found = null, matches = [], matchAt = -1;
let hasTimes = false, threadWeights = null;
const OWN = "0"; // state.only: NAMING_OWN

const picture = new Picture();
const frameTree = new FrameTree(picture);
const table = new Table(pick);
const timeline = new Timeline((from, to, isDone) => setState({ from, to }, isDone));

// --- what is chosen

function chosenThreads() {
  if (state.process === "" && state.thread === "") return null;
  return Uint8Array.from(facts.threads, (t, i) => (state.thread !== "" ? state.thread === String(i) : String(t[0]) === state.process) ? 1 : 0);
}

const chosenOrigins = () => (state.only === "" ? null : new Set(state.only.split(".").map(Number)));

// A node in the address: its number in the recording's tree; inverted, where numbers depend on the selection, the frames
// that lead to it.
function zoomWord(i) {
  if (!i) return "";
  if (state.view !== "inverted") return String(idOf(graph, i));
  const path = [];
  for (let a = i; a > 0; a = graph.parent[a]) path.unshift(graph.frame[a]);
  return path.length <= 300 ? path.join(".") : "";
}

function zoomNode(word) {
  if (!word) return 0;
  if (state.view !== "inverted") {
    const id = Number(word);
    return !word.includes(".") && id < nodes.n && graph.total[placeOf(graph, id)] > 0 ? placeOf(graph, id) : 0;
  }
  let i = 0;
  for (const part of word.split(".")) {
    let next = -1;
    for (const c of childrenOf(graph, i)) if (graph.frame[c] === Number(part)) next = c;
    if (next < 0) return 0;
    i = next;
  }
  return i;
}

function makeGraphs() {
  const whole = state.from === 0 && state.to === facts.buckets;
  const self = hasTimes ? selfWeights(chosenThreads(), whole ? 0 : state.from, whole ? facts.buckets : state.to) : selfWeights(null, 0, facts.buckets);
  const byWeight = state.order === "weight";
  forward = makeGraph({ parent: nodes.parent, frame: nodes.frame, n: self.n, ns: self.ns }, byWeight, true);
  inverse = state.view === "inverted" ? invertTree(self) : null;
  graph = inverse ? makeGraph(inverse, byWeight, false) : forward;
}

// Changes of the state: what depends on them is made again, and nothing else. isStep: Back undoes it.
function setState(changes, isStep) {
  const was = state;
  state = { ...state, ...changes };
  if ("view" in changes && changes.view !== was.view && (changes.view === "inverted" || was.view === "inverted") && !("zoom" in changes)) state.zoom = "";
  const address = stateToAddress(state);
  if (isStep && address !== location.hash.slice(1)) remember(address);
  show(was);
}

// Not location.hash: the browser would lay out the whole page to look for such a place in it.
function remember(address) {
  try {
    history.pushState(null, "", "#" + address);
  } catch (e) { /* a viewer without addresses, or more steps in a minute than it remembers */ }
}

const differ = (was, keys) => !was || keys.some((k) => was[k] !== state[k]);

function show(was) {
  if (differ(was, ["theme"])) showTheme();
  const isNew = differ(was, ["view", "order", "process", "thread", "from", "to"]);
  if (isNew) makeGraphs();
  if (differ(was, ["q"])) {
    found = searchFrames(state.q);
    if (byId("query").value !== state.q) byId("query").value = state.q;
  }
  if (isNew || differ(was, ["q"])) {
    matches = found ? searchNodes(graph, found.frames) : [];
    matchAt = -1;
  }
  const zoom = zoomNode(state.zoom);
  timeline.from = state.from;
  timeline.to = state.to;
  picture.hits = found && found.frames;
  picture.origins = chosenOrigins();
  picture.upward = state.view === "flame";
  const isMoved = isNew || differ(was, ["zoom"]);
  picture.show(graph, zoom);
  if (isMoved) frameTree.focus(zoom, false);
  picture.draw();
  isOld.table ||= isMoved || differ(was, ["by", "sort", "only", "q", "theme"]);
  isOld.times ||= isMoved || differ(was, ["theme"]);
  showControls(zoom);
  later();
}

// The picture first: table and bands come as soon as it is on the screen.
const isOld = { table: false, times: false, isWaiting: false };

function later() {
  byId("side").setAttribute("aria-busy", "true");
  if (isOld.isWaiting) return;
  isOld.isWaiting = true;
  const go = () => {
    if (isOld.isWaiting) showRest();
  };
  requestAnimationFrame(() => setTimeout(go));
  setTimeout(go, 200); // a page in the background draws no frames
}

function showRest() {
  isOld.isWaiting = false;
  if (isOld.table) showTable(picture.zoom);
  if (isOld.times && hasTimes) showTimes(picture.zoom);
  isOld.table = isOld.times = false;
  byId("side").setAttribute("aria-busy", "false");
}

// --- its parts

function showTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  isDark = state.theme === "dark" || (state.theme === "" && dark);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  colours = [];
  byId("theme").textContent = isDark ? "\u2600 Light" : "\u263e Dark";
  showLegend();
}

// The rows are of what the picture shows: node `zoom` and what is below it; inverted, of the stacks that it stands for.
function showTable(zoom) {
  let rows;
  if (inverse && zoom) {
    const id = idOf(graph, zoom), n = new Float64Array(nodes.n), ns = new Float64Array(nodes.n);
    for (let k = inverse.begin[id]; k < inverse.end[id]; k++) {
      const item = inverse.items[k];
      n[item] = forward.selfN[placeOf(forward, item)];
      ns[item] = forward.selfNs[placeOf(forward, item)];
    }
    const some = makeGraph({ parent: nodes.parent, frame: nodes.frame, n, ns }, false, true);
    rows = rankRows(some, 0, some.n, state.by);
  } else {
    const at = inverse ? 0 : zoom;
    rows = rankRows(forward, at, forward.end[at], state.by);
  }
  table.show(rows, graph.total[zoom], state.by, state.sort, chosenOrigins(), state.q);
  byId("of").textContent = zoom ? "of " + frameText(graph.frame[zoom]) : "";
  byId("of").title = byId("of").textContent;
}

function showTimes(zoom) {
  let shown = null;
  if (zoom) {
    shown = new Uint8Array(nodes.n);
    if (inverse) {
      const id = idOf(graph, zoom);
      for (let k = inverse.begin[id]; k < inverse.end[id]; k++) shown[inverse.items[k]] = 1;
    } else {
      for (let i = zoom; i < graph.end[zoom]; i++) shown[idOf(graph, i)] = 1;
    }
  }
  timeline.update(chosenThreads(), shown);
  timeline.draw();
}

function press(group, key, value) {
  for (const b of byId(group).querySelectorAll("button")) b.setAttribute("aria-pressed", String(b.dataset[key] === value));
}

function showControls(zoom) {
  press("views", "view", state.view);
  press("orders", "order", state.order);
  press("kinds", "by", state.by);
  byId("own").setAttribute("aria-pressed", String(state.only === OWN));
  byId("process").value = state.process;
  byId("thread").value = state.thread;
  byId("unzoom").hidden = byId("up").hidden = !zoom;
  byId("reset").hidden = stateToAddress({ ...state, theme: "", by: BEGIN.by, sort: BEGIN.sort, view: BEGIN.view, order: BEGIN.order }) === "";
  byId("whole").hidden = state.from === 0 && state.to === facts.buckets;
  byId("range-text").textContent = !hasTimes ? "" : byId("whole").hidden
    ? (facts.buckets > 1 ? "Drag over the bands to look at a part of the " + duration(facts.end) + "." : "")
    : timeline.words() + " is chosen: " + percent(graph.total[0], wholeWeight()) + " of all, " + amounts(graph.totalN[0], graph.totalNs[0]);
  let words = "";
  if (found) {
    words = found.words || percent(matchedWeight(graph, found.frames, 0), graph.total[0]) + " matched";
    if (!found.words && zoom) words += ", " + percent(matchedWeight(graph, found.frames, zoom), graph.total[zoom]) + " of what is shown";
    if (!found.words && matches.length) words += "; " + (matchAt >= 0 ? count(matchAt + 1) + " of " : "") + count(matches.length) + (matches.length === 1 ? " frame" : " frames");
  }
  if (byId("matched").textContent !== words) byId("matched").textContent = words;
  byId("previous").disabled = byId("next").disabled = !matches.length;
  showDetails(picture.hover);
}

const wholeWeight = () => (BY_TIME ? sumOf(nodes.selfNs) : sumOf(nodes.selfN));
const sumOf = (list) => list.reduce((a, b) => a + b, 0);

function showDetails(i) {
  const at = i >= 0 ? i : matchAt >= 0 ? matches[matchAt] : document.activeElement === picture.scroller ? picture.focus : picture.zoom;
  byId("details").textContent = !graph.total[0] ? "" : describeNode(graph, at, picture.zoom) + (at === 0 && i < 0 ? " \u2014 click a frame to zoom in" : "");
}

function showLegend() {
  const only = chosenOrigins(), used = new Set();
  for (let f = 0; f < frames.n; f++) used.add(frames.colour[f] >> 8);
  byId("legend").replaceChildren(...facts.palette.map(([label, r, g, b], origin) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = shown(r, g, b);
    const button = make("button", { type: "button", "aria-pressed": String(!!only && only.has(origin)), "data-origin": String(origin), title: "Only this in the table" }, swatch, label);
    button.addEventListener("click", () => {
      const next = new Set(chosenOrigins() || []);
      if (!next.delete(origin)) next.add(origin);
      setState({ only: [...next].sort().join(".") }, true);
      showLegend();
      byId("legend").querySelector("[data-origin='" + origin + "']").focus();
    });
    return used.has(origin) ? make("li", null, button) : "";
  }).filter((e) => e));
}

// --- what people do

function zoomTo(i) {
  if (i < 0 || graph.frame[i] >= MORE && i !== 0) return;
  setState({ zoom: zoomWord(i) }, true);
}

function goMatch(step) {
  if (!matches.length) return;
  matchAt = matchAt < 0 ? (step > 0 ? 0 : matches.length - 1) : (matchAt + step + matches.length) % matches.length;
  const i = matches[matchAt], keep = matchAt;
  // wide enough to be read: zoom out to where it is inside, or in to the outermost frame that makes it so
  let to = picture.zoom;
  if (i < to || i >= graph.end[to]) to = 0;
  if (graph.total[i] / graph.total[to] * picture.width < 60) {
    for (to = i; graph.parent[to] >= 0 && graph.total[i] / graph.total[graph.parent[to]] * picture.width >= 60;) to = graph.parent[to];
  }
  if (to !== picture.zoom) zoomTo(to);
  matchAt = keep;
  focusOn(i);
  showControls(picture.zoom);
}

// A row of the table: its frames stand out, and the heaviest comes into view. No zoom: it would change the table.
function pick(words) {
  setState({ q: state.q === words ? "" : words }, true);
  const at = matches.findIndex((i) => i >= picture.zoom && i < graph.end[picture.zoom]);
  if (at < 0) return;
  matchAt = at;
  focusOn(matches[at]);
  showControls(picture.zoom);
}

function focusOn(i) {
  frameTree.focus(i, true);
  picture.reveal(i);
  picture.draw();
  byId("details").textContent = describeNode(graph, i, picture.zoom);
}

// One step back at a time: search, zoom, time.
function back() {
  if (state.q) setState({ q: "" }, true);
  else if (state.zoom) setState({ zoom: "" }, true);
  else if (!timeline.isWhole) setState({ from: 0, to: facts.buckets }, true);
  else if (state.only) {
    setState({ only: "" }, true);
    showLegend();
  }
}

function up() {
  if (picture.zoom) zoomTo(graph.parent[picture.zoom]);
}

function toggleHelp() {
  const keys = byId("keys"), button = byId("help");
  keys.hidden = !keys.hidden;
  button.setAttribute("aria-expanded", String(!keys.hidden));
}

const toggleTheme = () => setState({ theme: isDark ? "light" : "dark" }, true);
const toggleOrder = () => setState({ order: state.order === "name" ? "weight" : "name" }, true);

function onKey(e) {
  const isBox = e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement;
  if (e.ctrlKey || e.metaKey || e.altKey || (isBox && e.key !== "Escape")) return;
  const actions = {
    "/": () => { byId("query").focus(); byId("query").select(); }, "?": toggleHelp, n: () => goMatch(1), N: () => goMatch(-1), t: toggleTheme, o: toggleOrder,
    1: () => setState({ view: "icicle" }, true), 2: () => setState({ view: "flame" }, true), 3: () => setState({ view: "inverted" }, true), Escape: back,
  };
  if (!Object.hasOwn(actions, e.key)) return;
  e.preventDefault();
  actions[e.key]();
}

function onGraphKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const to = frameTree.step(e.key, picture.focus);
  if (e.key === "Enter" || e.key === " ") zoomTo(picture.focus);
  else if (e.key === "Backspace") up();
  else if (to >= 0) {
    if (to < picture.zoom || to >= graph.end[picture.zoom]) zoomTo(to);
    focusOn(to);
  } else if (!/^(Arrow|Home)/.test(e.key)) return;
  e.preventDefault();
}

function listen() {
  const on = (id, event, action) => byId(id).addEventListener(event, action);
  const canvas = picture.canvas, nodeAt = (e) => {
    const r = canvas.getBoundingClientRect();
    return picture.at(e.clientX - r.left, e.clientY - r.top);
  };
  canvas.addEventListener("click", (e) => zoomTo(nodeAt(e)));
  canvas.addEventListener("pointermove", (e) => {
    const i = nodeAt(e);
    if (e.pointerType === "touch" || i === picture.hover) return;
    picture.hover = i;
    canvas.style.cursor = i >= 0 ? "pointer" : "default";
    picture.later();
    showDetails(i);
  });
  canvas.addEventListener("pointerleave", () => {
    picture.hover = -1;
    picture.later();
    showDetails(-1);
  });
  for (const event of ["focus", "blur"]) on("graph", event, () => picture.later());
  on("graph", "keydown", onGraphKey);
  on("up", "click", up);
  on("unzoom", "click", () => setState({ zoom: "" }, true));
  on("reset", "click", () => {
    setState({ ...BEGIN, view: state.view, order: state.order, by: state.by, sort: state.sort, theme: state.theme }, true);
    showLegend();
  });
  on("own", "click", () => {
    // of one's own code the question is what it takes with all that it calls
    setState(state.only === OWN ? { only: "", sort: BEGIN.sort } : { only: OWN, sort: "total" }, true);
    showLegend();
  });
  on("theme", "click", toggleTheme);
  on("help", "click", toggleHelp);
  on("next", "click", () => goMatch(1));
  on("previous", "click", () => goMatch(-1));
  on("process", "change", (e) => { setState({ process: e.target.value, thread: "" }, true); fillThreads(); });
  on("thread", "change", (e) => setState({ thread: e.target.value }, true));
  for (const [group, key] of [["views", "view"], ["orders", "order"], ["kinds", "by"], ["table", "sort"]]) {
    for (const b of byId(group).querySelectorAll("button[data-" + key + "]")) b.addEventListener("click", () => setState({ [key]: b.dataset[key] }, true));
  }
  let timer = 0;
  on("query", "input", (e) => { // while one types; a regular expression waits for Enter
    clearTimeout(timer);
    if (!isRegExp(e.target.value.trim())) timer = setTimeout(() => setState({ q: byId("query").value.trim() }, false), 120);
  });
  on("search", "submit", (e) => {
    e.preventDefault();
    clearTimeout(timer);
    const q = byId("query").value.trim();
    setState({ q }, true);
    goMatch(1);
  });
  on("query", "keydown", (e) => {
    if (e.key === "Enter" && e.shiftKey) {
      e.preventDefault();
      goMatch(-1);
    }
  });
  addEventListener("keydown", onKey);
  addEventListener("hashchange", recall);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (state.theme === "") show({ ...state, theme: null }); });
}

function recall() {
  const { state: next, asked } = stateFromAddress(location.hash);
  if (isRegExp(state.q) && asked === state.q) next.q = state.q; // one's own is searched for already
  const was = state;
  if (stateToAddress(next) !== stateToAddress(was)) {
    state = next;
    fillThreads();
    show(was);
    showLegend();
  }
  offer(asked);
}

function offer(asked) {
  if (!asked || asked === state.q) return;
  byId("query").value = asked;
  byId("matched").textContent = "Enter searches for it";
}

function fillThreads() {
  const option = (value, text) => make("option", { value, text: text.length > 60 ? text.slice(0, 59) + "\u2026" : text });
  const some = facts.threads.map((t, i) => [i, t]).filter(([, t]) => state.process === "" || String(t[0]) === state.process);
  // there may be one for each request: the busiest first
  some.sort((a, b) => (threadWeights ? threadWeights[b[0]] - threadWeights[a[0]] : 0) || a[0] - b[0]);
  const words = (i, t) => t[1] + (threadWeights ? " \u2014 " + amount(threadWeights[i]) : "");
  byId("thread").replaceChildren(option("", "all " + count(some.length)), ...some.map(([i, t]) => option(String(i), words(i, t))));
  byId("thread").value = state.thread;
  byId("threads").hidden = facts.threads.length < 2;
  byId("processes").hidden = facts.processes.length < 2;
}

function fillProcesses() {
  const option = (value, text) => make("option", { value, text: text.length > 60 ? text.slice(0, 59) + "\u2026" : text });
  byId("process").replaceChildren(option("", "all " + count(facts.processes.length)), ...facts.processes.map((p) => option(String(p[0]), p[1])));
}

async function start() {
  byId("title").textContent = facts.title;
  byId("samples").textContent = facts.samples;
  byId("losses").textContent = "lost: " + (facts.losses || "nothing");
  if (!globalThis.DecompressionStream) throw new Error("this browser is too old (it has no DecompressionStream)");
  readProfile(await unpack("profile"));
  const { state: begin, asked } = stateFromAddress(location.hash);
  state = begin;
  fillProcesses();
  fillThreads();
  listen();
  const needsTimes = differ(BEGIN, ["process", "thread", "from", "to"]);
  if (!needsTimes) {
    show(null);
    performance.mark("pyspy-painted");
    await new Promise((go) => { // the picture first, then what selections need
      requestAnimationFrame(() => setTimeout(go));
      setTimeout(go, 200);
    });
    showRest();
  }
  readTimes(await unpack("times"));
  hasTimes = true;
  threadWeights = new Float64Array(facts.threads.length);
  for (let i = 0; i < cells.n; i++) threadWeights[cells.thread[i]] += BY_TIME ? cells.ns[i] : cells.samples[i];
  fillThreads();
  if (needsTimes) show(null);
  else isOld.times = true;
  showRest();
  showControls(picture.zoom);
  offer(asked);
  if (needsTimes) performance.mark("pyspy-painted");
  performance.mark("pyspy-ready");
  document.documentElement.dataset.ready = "yes";
}

start().catch((e) => {
  byId("details").textContent = "This page cannot be shown: " + e.message;
  document.documentElement.dataset.ready = "failed";
  throw e;
});
