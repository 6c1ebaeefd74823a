// The flame graph's behaviour: zoom by click, search by "/" or the button, details of the frame under the pointer.
// Names are data of another program: they are read with textContent and written with textContent, nothing else.
(function () {
  "use strict";
  const svg = document.currentScript.closest("svg");
  const byId = (id) => svg.querySelector("#" + id);
  const number = (name) => Number(svg.getAttribute("data-" + name));
  const all = number("all"), left = number("left"), inner = number("inner"), top = number("top"), row = number("row");
  const holder = byId("frames"), details = byId("details"), matched = byId("matched");
  const searchButton = byId("search"), unzoomButton = byId("unzoom");
  const HELP = "Click a frame to zoom, / to search, Esc to go back.";
  const LONGEST = 200; // of a search text that comes with the address

  // One pass that reads the picture; later passes only write. A frame's weight (samples or time) is [x, x + w).
  const frames = [...holder.querySelectorAll(":scope > g")].map((g, index) => {
    const [title, rect, text] = g.children;
    const lines = title.textContent.split("\n"); // names have no line ends: they stand as \n
    return {
      index, g, rect, text, name: lines[0], facts: lines[1] || "", x: Number(g.getAttribute("data-x")),
      w: Number(g.getAttribute("data-w")), depth: Math.round((Number(rect.getAttribute("y")) - top) / row),
      more: g.classList.contains("more"),
    };
  });
  const numberOf = new Map(frames.map((f) => [f.g, f]));
  let zoomed = frames[0], sought = "", charWidth = 0;

  function columns(ch) {
    const c = ch.codePointAt(0);
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
      (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f300 ? 2 : 1;
  }

  function fitted(name, width) {
    const room = Math.floor((width - 6) / charWidth);
    if (room < 3) return "";
    let used = 0, kept = "";
    for (const ch of name) {
      used += columns(ch);
      if (used > room) return kept + "\u2026";
      if (used < room) kept += ch;
    }
    return name;
  }

  function place(f, x, width) {
    f.rect.setAttribute("x", x.toFixed(2));
    f.rect.setAttribute("width", width.toFixed(2));
    f.text.setAttribute("x", (x + 3).toFixed(2));
    f.text.textContent = fitted(f.name, width);
  }

  function zoom(to) {
    const end = to.x + to.w, scale = inner / to.w;
    zoomed = to;
    for (const f of frames) {
      const above = f.depth < to.depth && f.x <= to.x && f.x + f.w >= end && !f.more;
      const inside = f === to || (f.depth > to.depth && f.x >= to.x && f.x + f.w <= end);
      f.g.classList.toggle("hide", !above && !inside);
      f.g.classList.toggle("above", above);
      if (above) place(f, left, inner);
      else if (inside) place(f, left + (f.x - to.x) * scale, f.w * scale);
    }
    unzoomButton.classList.toggle("hide", to === frames[0]);
    countMatches();
  }

  function percent(part, whole) {
    return (whole ? 100 * part / whole : 0).toFixed(2) + " %";
  }

  // A frame's callees are part of it: only the outermost match of each stack counts. Frames come parents first, left to
  // right, so it is enough to remember how far the last one reached.
  function countMatches() {
    let inAll = 0, inZoom = 0, reach = -1;
    if (!sought) {
      matched.textContent = "";
      return;
    }
    for (const f of frames) {
      if (!f.g.classList.contains("hit") || f.x < reach) continue;
      const begin = Math.max(f.x, zoomed.x), end = Math.min(f.x + f.w, zoomed.x + zoomed.w);
      inAll += f.w;
      inZoom += Math.max(0, end - begin);
      reach = f.x + f.w;
    }
    matched.textContent = "Matched: " + percent(inAll, all) +
      (zoomed === frames[0] ? "" : ", of what is shown " + percent(inZoom, zoomed.w));
  }

  function tester(text, allowRegExp) {
    const parts = allowRegExp && text.match(/^\/(.+)\/$/);
    if (parts) {
      try {
        const re = new RegExp(parts[1], "i");
        return (name) => re.test(name);
      } catch (e) {
        details.textContent = "Not a regular expression: " + text;
        return () => false;
      }
    }
    const low = text.toLowerCase();
    return (name) => name.toLowerCase().includes(low);
  }

  function search(text, allowRegExp) {
    const hits = text ? tester(text, allowRegExp) : () => false;
    sought = text;
    holder.classList.toggle("searching", text !== "");
    for (const f of frames) f.g.classList.toggle("hit", f !== frames[0] && !f.more && hits(f.name));
    searchButton.textContent = text ? "Reset search" : "Search";
    countMatches();
  }

  // Zoom and search live in the address, so that a link shows what its sender saw and Back undoes.
  function remember() {
    const state = new URLSearchParams();
    if (zoomed !== frames[0]) state.set("zoom", String(zoomed.index));
    if (sought && !/^\/.+\/$/.test(sought)) state.set("search", sought);
    try {
      if (location.hash.slice(1) !== state.toString()) location.hash = state.toString();
    } catch (e) { /* a viewer without addresses */ }
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    const text = (state.get("search") || "").slice(0, LONGEST);
    const to = frames[Number(state.get("zoom"))];
    if (text !== sought && !(sought && /^\/.+\/$/.test(sought))) search(text, false);
    if (to && to !== zoomed && !to.more) zoom(to);
    else if (!state.has("zoom") && zoomed !== frames[0]) zoom(frames[0]);
  }

  function ask() {
    const text = prompt("Search for a part of a name, or for a /regular expression/:", sought);
    if (text === null) return;
    search(text.trim(), true);
    remember();
  }

  function unsearch() {
    search("", false);
    remember();
  }

  function unzoom() {
    zoom(frames[0]);
    remember();
  }

  function frameOf(event) {
    return numberOf.get(event.target.closest && event.target.closest("#frames > g"));
  }

  function describe(f) {
    const share = zoomed === frames[0] || !f ? "" : "; " + percent(f.w, zoomed.w) + " of what is shown";
    details.textContent = f ? f.name + "  " + f.facts + share : HELP;
  }

  function button(element, action) {
    element.addEventListener("click", action);
    element.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); action(); } });
  }

  if (!frames.length) return;
  const probe = frames[0].text, was = probe.textContent;
  probe.textContent = "mmmmmmmmmm";
  charWidth = probe.getComputedTextLength() / 10 || 7.25;
  probe.textContent = was;
  searchButton.classList.remove("hide");
  describe(null);
  button(searchButton, () => (sought ? unsearch() : ask()));
  button(unzoomButton, unzoom);
  holder.addEventListener("click", (e) => {
    const f = frameOf(e);
    if (!f || f.more) return;
    zoom(f);
    remember();
    describe(f);
  });
  holder.addEventListener("mouseover", (e) => describe(frameOf(e)));
  holder.addEventListener("mouseout", () => describe(null));
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") {
      e.preventDefault();
      ask();
    } else if (e.key === "Escape") {
      if (sought) unsearch();
      else unzoom();
    }
  });
  addEventListener("hashchange", recall);
  zoom(frames[0]);
  recall();
})();
