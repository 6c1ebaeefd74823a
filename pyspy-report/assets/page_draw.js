// page_draw: the graph on its canvas. Only what can be seen is drawn: rows in view, and of what is narrower than a pixel
// one frame for each pixel. So a zoom costs what the screen shows, and not what the recording holds.
const ROW = 18, TEXT_LEAST = 28;
const NARROW = 1; // pixel: of frames that are narrower there is one for each pixel, and what is inside cannot be told apart

let isDark = false;
let colours = [];

// As the SVG has them (view/palette.c): hue by origin, shade by name; darker on a dark page, with light text.
function frameColour(f) {
  if (f === ROOT) return isDark ? "#4a4a50" : "#d0d0d4";
  if (f >= frames.n) return isDark ? "#55555a" : "#bbbbbb";
  const colour = colours[f];
  if (colour) return colour;
  const [, r, g, b, dr, dg, db] = facts.palette[frames.colour[f] >> 8], shade = (frames.colour[f] & 255) / 255;
  return (colours[f] = shown(r + dr * shade, g + dg * shade, b + db * shade));
}

// On a dark page: darker, so that light text can be read, and stronger, so that hues stay apart.
function shown(...rgb) {
  const grey = (rgb[0] + rgb[1] + rgb[2]) / 3;
  return "rgb(" + rgb.map((v) => Math.round(isDark ? Math.max(0, (grey + (v - grey) * 1.35) * 0.55) : v)) + ")";
}

class Picture {
  constructor() {
    this.scroller = byId("graph");
    this.tall = byId("tall");
    this.canvas = byId("picture");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.graph = null;
    this.zoom = this.focus = 0;
    this.hover = -1;
    this.hits = this.origins = null;
    this.upward = false;
    this.waiting = false;
    this.scrolled = 0;
    this.charWidth = 7;
    this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(this.scroller);
  }

  // A graph, and the node that is as wide as the picture.
  show(graph, zoom) {
    const isNew = graph !== this.graph || zoom !== this.zoom;
    this.graph = graph;
    this.zoom = zoom;
    this.hover = -1;
    if (isNew) this.rows = rowsInside(graph, zoom);
    this.measure();
    if (isNew) this.scroller.scrollTop = this.upward ? this.scroller.scrollHeight : Math.max(0, graph.depth[zoom] - 3) * ROW;
  }

  measure() {
    const ratio = devicePixelRatio || 1;
    this.width = this.scroller.clientWidth;
    this.height = this.scroller.clientHeight;
    this.tall.style.height = Math.max(this.rows * ROW + 4, this.height) + "px";
    this.width = this.scroller.clientWidth; // a scroll bar may have come
    if (this.canvas.width !== Math.round(this.width * ratio) || this.canvas.height !== Math.round(this.height * ratio)) {
      this.canvas.width = Math.round(this.width * ratio);
      this.canvas.height = Math.round(this.height * ratio);
      this.canvas.style.width = this.width + "px";
      this.canvas.style.height = this.height + "px";
    }
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.font = "12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
    this.charWidth = this.pen.measureText("mmmmmmmmmm").width / 10 || 7;
  }

  later() {
    if (this.waiting || !this.graph) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.measure();
      this.draw();
    });
  }

  top(row) {
    const y = this.upward ? Math.max(this.rows * ROW + 4, this.height) - (row + 1) * ROW : row * ROW;
    return y - this.scrolled;
  }

  scale() {
    const whole = this.graph.total[this.zoom];
    return whole ? this.width / whole : 0;
  }

  draw() {
    const g = this.graph, z = this.zoom, pen = this.pen, scale = this.scale();
    this.scrolled = this.scroller.scrollTop; // asked once: the browser may have to lay the page out for it
    pen.fillStyle = isDark ? "#1c1c1f" : "#ffffff";
    pen.fillRect(0, 0, this.width, this.height);
    pen.textBaseline = "middle";
    if (!g.total[0]) {
      pen.fillStyle = isDark ? "#eeeeee" : "#111111";
      pen.fillText("Nothing is left of this selection.", 8, 20);
      return;
    }
    for (let a = z; a >= 0; a = g.parent[a]) this.box(a, 0, this.width, a !== z);
    const painted = new Float64Array(this.rows + 1), rows = this.visible(), from = g.begin[z];
    for (let i = z + 1; i < g.end[z];) {
      const row = g.depth[i], w = g.total[i] * scale, x = (g.begin[i] - from) * scale;
      if (row > rows.last || w <= 0 || (w < NARROW && x + w <= painted[row])) {
        i = g.end[i];
        continue;
      }
      if (row >= rows.first) this.box(i, x, w, false);
      if (w < NARROW) painted[row] = Math.floor(x) + 1;
      i++;
    }
    this.outline(this.hover, isDark ? "#ffffff" : "#000000", 1);
    if (document.activeElement === this.scroller) this.outline(this.focus, isDark ? "#7fb4ff" : "#0645ad", 2);
  }

  // Rows of the picture that can be seen.
  visible() {
    const whole = Math.max(this.rows * ROW + 4, this.height), from = this.upward ? whole - this.scrolled - this.height : this.scrolled;
    return { first: Math.floor(from / ROW), last: Math.ceil((from + this.height) / ROW) };
  }

  box(i, x, w, isAbove) {
    const g = this.graph, pen = this.pen, y = this.top(g.depth[i]), f = g.frame[i];
    if (y + ROW < 0 || y > this.height) return;
    const isHit = this.hits && this.hits[f], isFaint = isAbove || (this.hits && !isHit) || (this.origins && f !== ROOT && !this.origins.has(originOf(f)));
    pen.globalAlpha = isFaint ? 0.4 : 1;
    pen.fillStyle = isHit ? (isDark ? "#a0287a" : "#ff8ad0") : frameColour(f);
    pen.fillRect(x, y, Math.max(w > 3 ? w - 1 : w, 0.7), ROW - 1);
    if (f === MORE || f === LEFT_OUT) this.hatch(x, y, w);
    if (w >= TEXT_LEAST) {
      pen.globalAlpha = isFaint ? 0.75 : 1;
      pen.fillStyle = isDark ? "#f4f4f4" : "#000000";
      pen.fillText(fitted(this.label(i), Math.floor((w - 6) / this.charWidth)), x + 3, y + ROW / 2);
    }
    pen.globalAlpha = 1;
  }

  label(i) {
    const f = this.graph.frame[i];
    if (f === ROOT) return "all: " + amount(this.graph.total[i]);
    if (f === MORE) return moreText(this.graph, i);
    return frameText(f);
  }

  hatch(x, y, w) {
    const pen = this.pen;
    if (w < 2) return;
    pen.save();
    pen.beginPath();
    pen.rect(x, y, w - 1, ROW - 1);
    pen.clip();
    pen.strokeStyle = isDark ? "#8a8a90" : "#888888";
    pen.beginPath();
    for (let at = Math.max(x, 0) - ROW; at < Math.min(x + w, this.width); at += 6) {
      pen.moveTo(at, y + ROW);
      pen.lineTo(at + ROW, y);
    }
    pen.stroke();
    pen.restore();
  }

  // Where a node is drawn: { x, y, w }, or null.
  rect(i) {
    const g = this.graph, z = this.zoom;
    if (i < 0 || i >= g.n || !g.total[i]) return null;
    if (i <= z && g.end[i] >= g.end[z]) return { x: 0, y: this.top(g.depth[i]), w: this.width };
    if (i < z || i >= g.end[z]) return null;
    return { x: (g.begin[i] - g.begin[z]) * this.scale(), y: this.top(g.depth[i]), w: g.total[i] * this.scale() };
  }

  outline(i, colour, width) {
    const r = this.rect(i), pen = this.pen;
    if (!r) return;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.strokeRect(r.x + width / 2, r.y + width / 2, Math.max(r.w - 1 - width, 1), ROW - 1 - width);
    pen.lineWidth = 1;
  }

  // The node at a place of the canvas, or -1.
  at(x, y) {
    const g = this.graph;
    if (!g || !g.total[0]) return -1;
    const whole = Math.max(this.rows * ROW + 4, this.height), top = y + this.scrolled;
    const row = Math.floor((this.upward ? whole - top : top) / ROW);
    let i = this.zoom;
    if (row < 0) return -1;
    if (row <= g.depth[i]) {
      while (g.depth[i] > row) i = g.parent[i];
      return i;
    }
    const weight = g.begin[i] + x / this.scale();
    for (let depth = g.depth[i] + 1; depth <= row; depth++) {
      let found = -1;
      for (const c of childrenOf(g, i)) if (weight >= g.begin[c] && weight < g.begin[c] + g.total[c]) found = c;
      if (found < 0) return -1;
      i = found;
    }
    return i;
  }

  // Scroll so that node i's row can be seen.
  reveal(i) {
    this.scrolled = this.scroller.scrollTop;
    const y = this.top(this.graph.depth[i]);
    if (y < 0) this.scroller.scrollTop += y - ROW;
    else if (y + 2 * ROW > this.height) this.scroller.scrollTop += y + 2 * ROW - this.height;
  }
}

function moreText(graph, i) {
  const n = nodes.more.get(idOf(graph, i));
  return n ? "+" + count(n) + (n === 1 ? " frame" : " frames") + " too light for this page" : "[frames too light for this page]";
}
