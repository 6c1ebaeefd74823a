// page_timeline: what went on over time, in bands, and a stretch of it that can be chosen: all else follows.
const BAND = 15, AXIS = 16, LABEL = 62;

class Timeline {
  constructor(onChange) {
    this.canvas = byId("time");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.onChange = onChange;
    this.from = 0;
    this.to = facts.buckets;
    this.bands = [];
    const strip = byId("strip");
    new ResizeObserver(() => this.draw()).observe(strip);
    this.canvas.addEventListener("pointerdown", (e) => this.drag(e, null));
    for (const id of ["from", "to"]) {
      const handle = byId(id);
      handle.addEventListener("pointerdown", (e) => this.drag(e, id));
      handle.addEventListener("keydown", (e) => this.key(e, id));
    }
    byId("whole").addEventListener("click", () => this.onChange(0, facts.buckets, true));
  }

  get isWhole() {
    return this.from === 0 && this.to === facts.buckets;
  }

  bucketAt(clientX) {
    const r = this.canvas.getBoundingClientRect(), inner = r.width - LABEL;
    return Math.min(facts.buckets, Math.max(0, (clientX - r.left - LABEL) / inner * facts.buckets));
  }

  // From where it went down to where it is: at least one bucket. With a handle: the other end stays.
  drag(e, handle) {
    if (e.button || facts.buckets < 2) return;
    e.preventDefault();
    const target = e.currentTarget, start = this.bucketAt(e.clientX), was = [this.from, this.to], x = e.clientX;
    const base = handle === "from" ? this.to : handle === "to" ? this.from : start;
    let moved = false;
    target.setPointerCapture(e.pointerId);
    const move = (m) => {
      if (!moved && Math.abs(m.clientX - x) < 4) return;
      moved = true;
      const now = this.bucketAt(m.clientX), a = Math.floor(Math.min(base, now)), b = Math.ceil(Math.max(base, now));
      this.onChange(Math.min(a, facts.buckets - 1), Math.max(b, a + 1), false);
    };
    const up = (m) => {
      target.removeEventListener("pointermove", move);
      target.removeEventListener("pointerup", up);
      target.removeEventListener("pointercancel", up);
      if (handle) target.focus();
      if (moved && m.type === "pointerup") this.onChange(this.from, this.to, true);
      else if (moved) this.onChange(was[0], was[1], true);
      else if (!handle && !this.isWhole) this.onChange(0, facts.buckets, true); // a click outside of any drag
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", up);
    target.addEventListener("pointercancel", up);
  }

  key(e, id) {
    const big = Math.max(1, Math.round(facts.buckets / 20)), isFrom = id === "from";
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: big, PageDown: -big }[e.key];
    let at = isFrom ? this.from : this.to;
    if (e.key === "Home") at = 0;
    else if (e.key === "End") at = facts.buckets;
    else if (step) at += step * (e.shiftKey ? big : 1);
    else return;
    e.preventDefault();
    e.stopPropagation();
    if (isFrom) this.onChange(Math.max(0, Math.min(at, this.to - 1)), this.to, true);
    else this.onChange(this.from, Math.min(facts.buckets, Math.max(at, this.from + 1)), true);
  }

  // threads: those that are chosen, null = all; shown: by node, 1 = in what the picture shows; hits: what is searched for
  update(threads, shown) {
    const sums = (list) => {
      const to = new Float64Array(facts.buckets);
      for (let i = 0; i < list.n; i++) if (!threads || threads[list.thread[i]]) to[list.bucket[i]] += list.ns[i];
      return to;
    };
    const work = new Float64Array(facts.buckets);
    for (let i = 0; i < cells.n; i++) {
      if ((threads && !threads[cells.thread[i]]) || (shown && !shown[cells.node[i]])) continue;
      work[cells.bucket[i]] += BY_TIME ? cells.ns[i] : cells.samples[i];
    }
    this.bands = [
      { name: "CPU", title: "threads on a CPU", values: sums(meters.cpu), colour: ["#3a86c8", "#5aa2dd"] },
      { name: "GIL", title: "the GIL is held", values: sums(meters.gil), colour: ["#2e9e5b", "#4cc27c"] },
      { name: "GIL wait", title: "threads that wait for the GIL", values: sums(meters.wait), colour: ["#d0453a", "#f0685c"] },
    ].filter((b) => meters.gil.n || meters.wait.n || b.name === "CPU");
    this.bands.push({ name: shown ? "shown" : "graph", title: "what the graph shows", values: work, colour: ["#c46a10", "#f2a047"], isWork: true });
  }

  get height() {
    return this.bands.length * BAND + AXIS;
  }

  draw() {
    if (!this.bands.length) return;
    const ratio = devicePixelRatio || 1, width = byId("strip").clientWidth, pen = this.pen, inner = width - LABEL;
    this.canvas.style.height = this.height + "px";
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = isDark ? "#26262a" : "#f4f4f6";
    pen.fillRect(0, 0, width, this.height);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.bands.forEach((band, row) => this.band(band, row * BAND, inner));
    this.axis(inner);
    this.place(inner);
  }

  // The height is the share of the bucket's time; where several threads are more than that, of the busier buckets. The few
  // that stand out are cut: they would press all others down.
  band(band, y, inner) {
    const pen = this.pen, w = inner / facts.buckets;
    const used = band.values.filter((v) => v > 0).sort(), most = Math.max(band.isWork ? 0 : facts.width, used[Math.floor(used.length * 0.98)] || 0) || 1;
    pen.fillStyle = isDark ? "#b8b8bf" : "#444444";
    pen.fillText(band.name, 4, y + BAND / 2);
    pen.fillStyle = band.colour[isDark ? 1 : 0];
    for (let i = 0; i < facts.buckets; i++) {
      if (!band.values[i]) continue;
      const h = Math.min(BAND - 2, Math.max(1, (BAND - 2) * band.values[i] / most));
      const x = Math.round(LABEL + i * w); // whole pixels: no seams
      pen.fillRect(x, y + BAND - 1 - h, Math.max(Math.round(LABEL + (i + 1) * w) - x, 1), h);
    }
  }

  axis(inner) {
    const pen = this.pen, y = this.bands.length * BAND, steps = [1, 2, 5];
    let step = 1;
    for (let ten = 1, k = 0; facts.width * facts.buckets / (step = ten * steps[k]) * 70 > inner; k = (k + 1) % 3) if (k === 2) ten *= 10;
    pen.fillStyle = isDark ? "#b8b8bf" : "#444444";
    for (let at = 0, k = 0; at <= facts.end; at = ++k * step) {
      const x = LABEL + at / (facts.width * facts.buckets) * inner;
      pen.fillRect(x, y, 1, 4);
      if (x + 60 < LABEL + inner || !k) pen.fillText(moment(at), x + 3, y + AXIS / 2 + 1);
    }
  }

  // What is not chosen is covered; handles stand at the ends.
  place(inner) {
    const pen = this.pen, x = (b) => LABEL + b / facts.buckets * inner, height = this.bands.length * BAND;
    if (!this.isWhole) {
      pen.fillStyle = isDark ? "rgba(20,20,22,0.72)" : "rgba(255,255,255,0.75)";
      pen.fillRect(LABEL, 0, x(this.from) - LABEL, height);
      pen.fillRect(x(this.to), 0, LABEL + inner - x(this.to), height);
    }
    for (const id of ["from", "to"]) {
      const handle = byId(id), at = id === "from" ? this.from : this.to, ns = Math.min(at * facts.width, facts.end);
      handle.style.left = x(at) + "px";
      handle.style.height = height + "px";
      handle.setAttribute("aria-valuemin", "0");
      handle.setAttribute("aria-valuemax", String(facts.buckets));
      handle.setAttribute("aria-valuenow", String(at));
      handle.setAttribute("aria-valuetext", moment(ns));
    }
  }

  words() {
    return moment(this.from * facts.width) + " to " + moment(Math.min(this.to * facts.width, facts.end));
  }
}
