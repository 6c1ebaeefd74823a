// page_words: what the page is of, and how numbers are written: as pyspy-report writes them (libcommon/human.c).
//
// Everything from the recorded program (names, files, command lines) is text made visible by the reporter, and data of a
// stranger all the same: it leaves this script through textContent, fillText and .title, and in no other way.
const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("facts").textContent);
const BY_TIME = facts.measure !== "samples";
const NS_WORD = facts.nanoseconds === "cpu" ? "CPU" : "of thread time";
const UNIT_NS = 2 ** facts.shift;

function count(n) {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

function scaled(v, unit, name) {
  const tenths = Math.floor(v / unit) * 10 + Math.floor(((v % unit) * 10 + unit / 2) / unit);
  return unit > 1 && tenths < 100 ? Math.floor(tenths / 10) + "." + (tenths % 10) + " " + name : Math.round(v / unit) + " " + name;
}

function duration(ns) {
  const two = (n) => String(n).padStart(2, "0");
  if (ns === 0) return "0 s";
  if (ns < 1000) return scaled(ns, 1, "ns");
  if (ns < 999500) return scaled(ns, 1e3, "us");
  if (ns < 999500000) return scaled(ns, 1e6, "ms");
  if (ns < 59.5e9) return scaled(ns, 1e9, "s");
  const s = Math.round(ns / 1e9), m = Math.round(s / 60);
  return s < 3600 ? Math.floor(s / 60) + " m " + two(s % 60) + " s" : Math.floor(m / 60) + " h " + two(m % 60) + " m";
}

function percent(part, whole) {
  const p = 100 * part / whole;
  if (!whole || !Number.isFinite(p)) return "-";
  return p === 0 ? "0 %" : p < 0.1 ? "<0.1 %" : p.toFixed(1) + " %";
}

// What is weighed, in its unit.
function amount(weight) {
  return BY_TIME ? duration(weight) : count(weight);
}

// Both measures of something: "1.2 s, 120 samples"
function amounts(n, ns) {
  return BY_TIME ? duration(ns) + ", " + count(n) + " samples" : count(n) + " samples, " + duration(ns);
}

// A moment since the recording began, as exact as buckets are: "12.4 s", "1:02:03.5"
function moment(ns) {
  const places = facts.width >= 1e9 ? 0 : facts.width >= 1e8 ? 1 : facts.width >= 1e7 ? 2 : 3;
  const s = ns / 1e9;
  if (facts.end < 1e9) return (ns / 1e6).toFixed(facts.width >= 1e6 ? 0 : 3) + " ms";
  if (facts.end < 120e9) return s.toFixed(places) + " s";
  const whole = Math.floor(s), two = (n) => String(n).padStart(2, "0");
  const rest = places ? (s - whole).toFixed(places).slice(1) : "";
  const clock = two(Math.floor(whole / 60) % 60) + ":" + two(whole % 60) + rest;
  return whole < 3600 ? clock : Math.floor(whole / 3600) + ":" + clock;
}

function columns(ch) {
  const c = ch.codePointAt(0);
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
    (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f300 ? 2 : 1;
}

// As much of a text as fits into `room` columns; a cut ends in an ellipsis.
function fitted(text, room) {
  if (text.length <= room && /^[\x20-\x7e]*$/.test(text)) return text;
  let used = 0, kept = "";
  for (const ch of text) {
    used += columns(ch);
    if (used > room) return kept + "\u2026";
    if (used < room) kept += ch;
  }
  return text;
}

function make(tag, settings, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(settings || {})) {
    if (name === "class") e.className = value;
    else if (name === "text") e.textContent = value;
    else e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}
