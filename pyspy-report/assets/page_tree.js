// page_tree: the graph for keyboards and screen readers: one frame has the focus; its callers, its neighbours and what it
// calls stand in a tree (role="tree") that nobody sees, and what is said of it in a live region.
const NEAR = 8; // neighbours and callees that are told: thousands help nobody

class FrameTree {
  constructor(picture) {
    this.picture = picture;
    this.items = byId("items");
    this.scroller = byId("graph");
  }

  item(i, level, at, size, isFocus, isOpen) {
    const g = this.picture.graph, settings = { role: "treeitem", id: "item-" + i, "aria-level": String(level), "aria-posinset": String(at), "aria-setsize": String(size), text: this.picture.label(i) + ", " + percent(g.total[i], g.total[0]) };
    if (isFocus) settings["aria-selected"] = "true";
    if (g.end[i] > i + 1) settings["aria-expanded"] = String(isOpen);
    return make("div", settings);
  }

  // The focus goes to node i.
  focus(i, isSaid) {
    const g = this.picture.graph, items = [], path = [];
    this.picture.focus = i;
    for (let a = g.parent[i]; a >= 0; a = g.parent[a]) path.unshift(a);
    for (const a of path.slice(-NEAR)) items.push(this.item(a, g.depth[a] + 1, 1, 1, false, true));
    const siblings = g.parent[i] < 0 ? [i] : [...childrenOf(g, g.parent[i])], k = siblings.indexOf(i);
    for (let s = Math.max(0, k - NEAR); s < Math.min(siblings.length, k + NEAR + 1); s++) {
      const it = siblings[s];
      items.push(this.item(it, g.depth[it] + 1, s + 1, siblings.length, it === i, it === i));
      if (it !== i) continue;
      const below = [...childrenOf(g, i)];
      below.slice(0, NEAR).forEach((c, at) => items.push(this.item(c, g.depth[c] + 1, at + 1, below.length, false, false)));
    }
    this.items.replaceChildren(...items);
    this.scroller.setAttribute("aria-activedescendant", "item-" + i);
    if (isSaid) byId("live").textContent = describeNode(g, i, this.picture.zoom) + (siblings.length > 1 ? "; " + (k + 1) + " of " + siblings.length + " beside each other" : "");
  }

  // Where an arrow leads from node i: the heaviest below, the one above, the next ones beside it. -1: nowhere.
  step(key, i) {
    const g = this.picture.graph, inner = this.picture.upward ? "ArrowUp" : "ArrowDown", outer = this.picture.upward ? "ArrowDown" : "ArrowUp";
    if (key === outer) return g.parent[i];
    if (key === inner) {
      let best = -1;
      for (const c of childrenOf(g, i)) if (best < 0 || g.total[c] > g.total[best]) best = c;
      return best;
    }
    if (key === "Home") return 0;
    if (g.parent[i] < 0) return -1;
    const siblings = [...childrenOf(g, g.parent[i])], k = siblings.indexOf(i) + (key === "ArrowRight" ? 1 : -1);
    return key === "ArrowLeft" || key === "ArrowRight" ? siblings[k] ?? -1 : -1;
  }
}

// All that is known of a frame in one line.
function describeNode(g, i, zoom) {
  const f = g.frame[i], name = f === MORE ? moreText(g, i) : frameText(f);
  let words = name + " \u2014 " + percent(g.total[i], g.total[0]) + ", " + amounts(g.totalN[i], g.totalNs[i]);
  if (f < MORE) words += "; self " + percent(g.self[i], g.total[0]) + (g.self[i] ? ", " + amount(g.self[i]) : "");
  if (zoom > 0 && i !== zoom && i > zoom && i < g.end[zoom]) words += "; " + percent(g.total[i], g.total[zoom]) + " of what is shown";
  return words;
}
