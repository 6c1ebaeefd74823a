// needs: viewers
// parallel
// timeout: 240
// The page (flamegraph -o x.html) in a real browser: its numbers are those of `top` and `tree` for every filter; every
// control works by mouse, key and touch, wide and narrow, light and dark; names and addresses cannot make it do anything,
// and nothing is asked from anywhere.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

const build = path.resolve(process.env.PYSPY_BUILD || "build");
const viewers = process.env.PYSPY_VIEWERS || "/var/tmp/pyspy-cache/viewers";
const { chromium } = createRequire(path.join(viewers, "x.js"))("playwright-core");
const chrome = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((f) => fs.existsSync(f));
if (!chrome) {
  console.log("no Chromium (scripts/install-deps viewers)");
  process.exit(77);
}
const work = fs.mkdtempSync(path.join(os.tmpdir(), "pyspy-page-"));
const run = (program, ...args) => execFileSync(path.join(build, program), args, { cwd: work, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 }).toString();
const report = (...args) => JSON.parse(run("pyspy-report", ...args, "--json"));

let pages = 0;
function makePage(name, ...options) {
  const file = path.join(work, name + "-" + ++pages + ".html");
  run("pyspy-report", "flamegraph", ...options, "-o", file, name + ".pyspy");
  return pathToFileURL(file).href;
}

const browser = await chromium.launch({
  executablePath: chrome, headless: true,
  // nothing but this machine has a name, so that a page that calls home is seen and gets nowhere
  args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
const WIDE = { viewport: { width: 1600, height: 900 }, colorScheme: "light" };
const NARROW = { viewport: { width: 400, height: 800 }, colorScheme: "dark", hasTouch: true, isMobile: true };

// A page that writes down whatever it should not do.
let sins = [], self = "", spare = null; // spare: a page that is open already; a new one takes as long as all that is looked at in it

async function openPage(settings) {
  const context = await browser.newContext(settings);
  const page = await context.newPage();
  context.on("request", (r) => { if (r.url().split("#")[0] !== self && r.url() !== "data:," && r.url() !== "about:blank") sins.push("request " + r.url()); });
  page.on("popup", () => sins.push("popup"));
  page.on("download", () => sins.push("download"));
  page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") sins.push("console: " + m.text()); });
  page.on("pageerror", (e) => sins.push("exception: " + e.message));
  page.on("dialog", (d) => { sins.push(d.type() + ": " + d.message()); return d.dismiss(); });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error("policy: " + e.violatedDirective + " " + e.blockedURI)));
  return { context, page };
}

async function open(url, settings = WIDE) {
  if (settings === WIDE && spare) await spare.page.goto("about:blank");
  const { context, page } = settings === WIDE ? (spare ??= await openPage(WIDE)) : await openPage(settings);
  self = url.split("#")[0];
  sins = [];
  await page.goto(url);
  await page.waitForFunction(() => document.documentElement.dataset.ready);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.ready), "yes");
  // the table comes behind the picture
  const settle = () => page.evaluate(() => new Promise((ok) => {
    const look = () => (document.getElementById("side").getAttribute("aria-busy") === "true" ? setTimeout(look, 1) : ok());
    setTimeout(look);
  }));
  const text = async (id) => {
    await settle();
    return page.evaluate((i) => document.getElementById(i).textContent, id);
  };
  const p = {
    page, text, settle,
    shown: (id) => page.evaluate((i) => document.getElementById(i).checkVisibility(), id),
    hash: () => page.evaluate(() => location.hash),
    async go(hash) {
      await page.evaluate((h) => new Promise((ok) => {
        if (location.hash.slice(1) === h.replace("#", "")) return ok();
        addEventListener("hashchange", ok, { once: true });
        location.hash = h;
        return setTimeout(ok, 100);
      }), hash);
      await settle();
    },
    // all rows of the table: [text, self and total samples, self and total ns]
    rows: () => settle().then(() => page.evaluate(() => {
      const more = document.getElementById("more");
      while (!more.hidden) more.click();
      return [...document.querySelectorAll("#body tr[data-self-n]")].map((r) => [r.querySelector("button").title, ...["selfN", "totalN", "selfNs", "totalNs"].map((k) => Number(r.dataset[k]))]);
    })),
    // colour of the picture at a place, as "r,g,b"
    colour: (x, y) => page.evaluate(([a, b]) => {
      const c = document.getElementById("picture"), d = c.getContext("2d").getImageData(a * devicePixelRatio, b * devicePixelRatio, 1, 1).data;
      return d[0] + "," + d[1] + "," + d[2];
    }, [x, y]),
    // a place inside the picture of a frame of this row: row 0 is the root
    async place(row, share) {
      const box = await page.locator("#picture").boundingBox();
      return { x: box.x + box.width * share, y: box.y + row * 18 + 9 };
    },
    async click(row, share) {
      const at = await p.place(row, share);
      await (settings.hasTouch ? page.touchscreen.tap(at.x, at.y) : page.mouse.click(at.x, at.y));
    },
    press: (selector) => (settings.hasTouch ? page.tap(selector) : page.click(selector)),
    async end() {
      assert.deepEqual(sins, []);
      if (page !== spare?.page) await context.close();
    },
  };
  return p;
}

const placed = (r) => (r.function ?? r.file) + (r.function !== undefined && r.file ? " (" + r.file + (r.line ? ":" + r.line : "") + ")" : "");
const numbers = (r) => [r.self_samples, r.total_samples, r.self_ns ?? r.self_cpu_ns, r.total_ns ?? r.total_cpu_ns];
const sorted = (rows) => rows.map((r) => JSON.stringify(r)).sort();

// The table of an open page against `top`, which says `top --by line` rows as functions with lines.
async function sameAsTop(p, by, name, options) {
  const want = report("top", "--by", by, ...options, name + ".pyspy").rows.map((r) => [by === "file" ? r.file || r.name : placed(r), ...numbers(r)]);
  const got = await p.rows();
  assert.deepEqual(sorted(got), sorted(want), name + " " + by + " " + options.join(" "));
  assert.ok(want.length > 0 || !options.length, "nothing to compare: " + options);
}

const isFull = process.env.PYSPY_FULL === "1";
const FILTERS = [
  ["many", "-i", "--measure", "cpu", "--time", "1s..3s"], ["many", "-g", "--no-processes", "--hide", "run"], ["many", "-i", "--focus", "fib", "-t", "--collapse-recursion"], ["kernel", "-i"],
];
const MORE_FILTERS = [
  ["many", "-i"], ["many"], ["many", "-g"], ["many", "-i", "--thread", "idle|310"], ["many", "-i", "--pid", "301"], ["many", "-i", "--time", "1s..3s"],
  ["many", "-i", "--measure", "wall"], ["many", "-i", "--focus", "fib"], ["many", "-i", "--ignore", "fib"], ["many", "-i", "--hide", "run"],
  ["many", "-i", "--show-from", "run"], ["many", "-i", "--state", "running"], ["many", "-i", "-t"], ["many", "-i", "--no-processes"], ["many", "-i", "--collapse-recursion"],
  ["many", "-i", "--full-filenames"], ["many", "-i", "--nolineno"], ["kernel", "-i", "--measure", "samples"], ["kernel", "-i", "--measure", "cpu"], ["kernel", "-i", "--time", "25%..75%"],
  ["many", "-i", "--measure", "cpu"], ["motion", "-i"], ["defaults"], ["small", "-i"], ["undefined", "-i"],
];

const tests = {
  async "numbers are those of top, for every filter"() {
    for (const [name, ...options] of isFull ? [...FILTERS, ...MORE_FILTERS] : FILTERS) {
      const p = await open(makePage(name, ...options));
      await sameAsTop(p, "function", name, options);
      if (!options.includes("--nolineno") && name !== "defaults") {
        await p.go("by=line");
        await sameAsTop(p, "line", name, options);
      }
      await p.go("by=file");
      assert.deepEqual(sorted((await p.rows()).map((r) => r.slice(1))), sorted(report("top", "--by", "file", ...options, name + ".pyspy").rows.map(numbers)), "files of " + name + options);
      await p.end();
    }
  },

  async "numbers are those of tree, frame by frame"() {
    for (const [name, ...options] of isFull ? [["many", "-i", "-F"], ["kernel", "-i", "-F"]] : [["small", "-i", "-F", "-t"], ["motion", "-i", "-F"]]) {
      const p = await open(makePage(name, ...options));
      const want = report("tree", ...options, "--min-share", "0", name + ".pyspy").rows.map((r) => [placed(r), r.total_samples, r.total_ns]);
      // frame by frame: the one that the picture is zoomed to, in the table of what is shown
      const got = await p.page.evaluate(async (n) => {
        const seen = [];
        for (let i = 1; i <= n; i++) {
          const shown = new Promise((ok) => new MutationObserver((_, self) => { self.disconnect(); ok(); }).observe(document.getElementById("body"), { childList: true }));
          location.hash = "zoom=" + i;
          await shown;
          const named = document.getElementById("details").textContent.split(" \u2014 ")[0];
          const row = [...document.querySelectorAll("#body tr")].find((r) => r.querySelector("button").title === named);
          seen.push([named, row ? Number(row.dataset.totalN) : -1, row ? Number(row.dataset.totalNs) : -1]);
        }
        return seen;
      }, want.length);
      assert.deepEqual(sorted(got), sorted(want), name);
      await p.end();
    }
  },

  async "inverted, the order, a thread: the same sums"() {
    for (const name of isFull ? ["many", "kernel"] : ["kernel"]) {
      const p = await open(makePage(name, "-i", "--no-processes"));
      const before = sorted(await p.rows());
      for (const hash of ["view=inverted", "view=inverted&order=weight", "view=flame", "order=weight"]) {
        await p.go(hash);
        assert.deepEqual(sorted(await p.rows()), before, hash);
      }
      // the innermost frames stand on top: their boxes are as wide as what they have themselves
      await p.go("view=inverted&order=weight");
      await p.page.focus("#graph");
      await p.page.keyboard.press("ArrowDown");
      const tops = report("top", "-i", "--by", "line", "--no-processes", name + ".pyspy").rows;
      assert.ok((await p.text("live")).startsWith(placed(tops[0]) + " "), await p.text("live"));
      // zoomed there: the table is of the stacks that end in it
      await p.page.keyboard.press("Enter");
      const row = (await p.rows()).find((r) => r[0].startsWith(tops[0].function + " "));
      assert.equal(row[1], tops[0].self_samples);
      assert.equal(row[3], tops[0].self_ns);
      const threads = await p.page.evaluate(() => [...document.querySelectorAll("#thread option")].map((o) => [o.value, o.textContent]).slice(1));
      for (const [value, words] of threads) {
        await p.go("thread=" + value);
        await sameAsTop(p, "function", name, ["-i", "--no-processes", "--thread", words.match(/(?:tid |thread )(\d+)/)[1]]);
      }
      await p.end();
    }
  },

  // blocks of these recordings end at whole seconds, where moments are exact
  async "a stretch of time is --time"() {
    for (const [name, ...options] of isFull ? [["kernel", "-i"], ["many", "-i"], ["many", "-i", "--measure", "wall"]] : [["kernel", "-i"], ["many", "-i", "--measure", "wall"]]) {
      const p = await open(makePage(name, ...options));
      for (const [from, to] of [[0, 1], [1, 3], [3, 4]]) {
        await p.go("from=" + from * 1e9 + "&to=" + to * 1e9);
        const time = [...options, "--time", from + "s.." + to + "s"];
        if (name === "kernel") { // an event stands for time around its moment: what is at the ends is shared out
          const want = report("top", ...time, "kernel.pyspy").totals.kept.ns, got = (await p.rows()).reduce((sum, r) => sum + r[3], 0);
          assert.ok(Math.abs(got - want) < want * 0.1, time + ": " + got + " ns, and not " + want);
        } else {
          await sameAsTop(p, "function", name, time);
        }
        assert.match(await p.text("range-text"), new RegExp("^" + from + "\\.00 s to " + to + "\\.00 s is chosen: "));
      }
      await p.end();
    }
  },

  async "every control by mouse and key, wide"() {
    const p = await open(makePage("many", "-i"));
    assert.match(await p.text("title"), /server\.py \(pid 300, CPython 3\.13\.0\) and 1 more process/);
    assert.match(await p.text("samples"), /^1,320 samples of 4 threads of 2 processes in 4\.0 s/);
    assert.match(await p.text("losses"), /^lost: cut 12\.1 %, late ticks 12/);
    assert.match(await p.text("details"), /^all \u2014 100\.0 %, 1,320 samples, 13 s/);
    // zoom: by mouse, back, out, whole graph, Esc
    await p.click(3, 0.05);
    assert.match(await p.text("details"), /^Work\.run \(app\/work\.py:22\) \u2014 24\.2 %, 320 samples/);
    assert.match(await p.text("of"), /^of Work\.run/);
    assert.match(await p.hash(), /zoom=\d+/);
    const zoomed = await p.hash();
    await p.page.goBack();
    assert.equal(await p.hash(), "");
    assert.equal(await p.text("of"), "");
    await p.page.goForward();
    assert.equal(await p.hash(), zoomed);
    await p.page.click("#up");
    assert.match(await p.text("of"), /^of <module>/);
    await p.page.click("#unzoom");
    assert.equal(await p.text("of"), "");
    // hover tells, and does not zoom
    const at = await p.place(2, 0.05);
    await p.page.mouse.move(at.x, at.y);
    assert.match(await p.text("details"), /^<module> \(server\.py:30\) \u2014 30\.3 %, 400 samples, 4\.0 s; self 0 %$/);
    await p.page.mouse.move(1, 1);
    // keys in the graph; what is said
    await p.page.focus("#graph");
    await p.page.keyboard.press("ArrowDown");
    assert.match(await p.text("live"), /^process 301: .* 54\.5 %, 720 samples, 7\.2 s; self 0 %; 2 of 2 beside each other$/);
    await p.page.keyboard.press("ArrowLeft");
    assert.match(await p.text("live"), /^process 300: /);
    await p.page.keyboard.press("ArrowDown");
    await p.page.keyboard.press("Enter");
    assert.match(await p.text("of"), /^of <module> \(server\.py:30\)/);
    await p.page.keyboard.press("Backspace");
    assert.match(await p.text("of"), /^of process 300/);
    await p.page.keyboard.press("Home");
    assert.equal(await p.text("of"), "");
    const tree = await p.page.evaluate(() => {
      const tree = document.getElementById("graph"), it = document.getElementById(tree.getAttribute("aria-activedescendant"));
      return [tree.getAttribute("role"), it.getAttribute("role"), it.getAttribute("aria-level"), it.getAttribute("aria-expanded"), it.textContent, document.querySelectorAll("#items [role=treeitem]").length];
    });
    assert.deepEqual(tree, ["tree", "treeitem", "1", "true", "all: 1,320, 100.0 %", 3]);
    // views
    for (const [key, view] of [["2", "flame"], ["3", "inverted"], ["1", "icicle"]]) {
      await p.page.keyboard.press(key);
      assert.equal(await p.page.getAttribute("[data-view=" + view + "]", "aria-pressed"), "true");
      assert.equal(await p.hash(), view === "icicle" ? "" : "#view=" + view);
    }
    await p.page.click("[data-view=flame]");
    await p.click(0, 0.5); // the picture stands on its root now: its first row is far from it
    await p.page.click("[data-view=icicle]");
    await p.page.click("[data-order=weight]");
    assert.match(await p.hash(), /order=weight/);
    await p.page.keyboard.press("o");
    assert.equal(await p.hash(), "");
    // the table
    await p.page.click("[data-sort=total]");
    assert.match((await p.rows())[0][0], /^process 301/);
    assert.equal(await p.page.getAttribute("th:nth-child(2)", "aria-sort"), "descending");
    await p.page.click("[data-sort=name]");
    assert.equal((await p.rows())[0][0], "<module> (server.py:1)");
    await p.page.click("[data-by=file]");
    assert.ok((await p.rows()).some((r) => r[0] === "app/work.py"));
    await p.page.click("[data-by=function]");
    await p.page.click("[data-sort=self]");
    await p.page.click("#legend button:has-text('own code')");
    assert.equal(await p.page.getAttribute("#own", "aria-pressed"), "true");
    assert.deepEqual((await p.rows()).map((r) => r[0]), ["Work.run (app/work.py:20)", "fib (app/work.py:40)", "<module> (server.py:1)"]);
    await p.page.keyboard.press("Escape");
    assert.equal((await p.rows()).length, 9);
    await p.page.click("#own");
    assert.match((await p.rows())[0][0], /^<module>/, "own code by what it calls, too");
    await p.page.click("#own");
    await p.page.click("#body tr:nth-child(5) button");
    assert.match(await p.text("matched"), /^6\.1 % matched; 1 of 40 frames$/, "the recursion counts once");
    await p.page.keyboard.press("Escape");
    // processes and threads
    await p.page.selectOption("#process", { index: 2 });
    assert.equal(await p.page.evaluate(() => document.querySelectorAll("#thread option").length), 3);
    await sameAsTop(p, "function", "many", ["-i", "--processes", "--pid", "301"]);
    await p.page.click("#reset");
    assert.equal(await p.hash(), "");
    // themes, keys
    await p.page.click("#theme");
    assert.equal(await p.page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await p.page.keyboard.press("t");
    assert.equal(await p.page.evaluate(() => document.documentElement.dataset.theme), "light");
    await p.page.keyboard.press("?");
    assert.equal(await p.shown("keys"), true);
    await p.page.click("#help");
    assert.equal(await p.shown("keys"), false);
    await p.end();
  },

  async "time by mouse and key"() {
    const p = await open(makePage("many", "-i"));
    const box = await p.page.locator("#time").boundingBox(), inner = box.width - 62, x = (s) => box.x + 62 + inner * s / 4;
    await p.page.mouse.move(x(1), box.y + 20);
    await p.page.mouse.down();
    await p.page.mouse.move(x(2), box.y + 20, { steps: 5 });
    await p.page.mouse.move(x(3) - 1, box.y + 20);
    await p.page.mouse.up();
    assert.equal(await p.hash(), "#from=1000000000&to=3000000000");
    await sameAsTop(p, "function", "many", ["-i", "--time", "1s..3s"]);
    await p.page.focus("#from");
    await p.page.keyboard.press("ArrowRight");
    assert.equal(await p.hash(), "#from=1010000000&to=3000000000");
    await p.settle(); // the handles are drawn with the bands, behind the picture
    assert.equal(await p.page.getAttribute("#from", "aria-valuetext"), "1.01 s");
    await p.page.focus("#to");
    await p.page.keyboard.press("End");
    assert.equal(await p.hash(), "#from=1010000000");
    await p.page.goBack();
    assert.equal(await p.hash(), "#from=1010000000&to=3000000000");
    await p.page.mouse.click(x(0.5), box.y + 20);
    assert.equal(await p.hash(), "", "a click beside it takes all the time");
    await p.go("from=0&to=1000000000");
    await p.page.click("#whole");
    assert.equal(await p.hash(), "");
    await p.end();
  },

  async "search: text, /regexp/, file.py:42"() {
    const p = await open(makePage("many", "-i"));
    const search = async (words) => {
      await p.page.keyboard.press("/");
      await p.page.keyboard.type(words);
      await p.page.keyboard.press("Enter");
      await p.page.evaluate(() => document.activeElement.blur());
      return p.text("matched");
    };
    assert.match(await search("fib"), /^6\.1 % matched.*; 1 of 40 frames$/);
    assert.equal(await p.page.getAttribute("#query", "aria-label") !== null, true);
    await p.page.keyboard.press("n");
    assert.match(await p.text("matched"), /2 of 40 frames$/);
    await p.page.keyboard.press("N");
    await p.page.click("#previous");
    assert.match(await p.text("matched"), /40 of 40 frames$/);
    await p.page.click("#next");
    assert.match(await p.text("matched"), /1 of 40 frames$/);
    assert.match(await p.text("live"), /^fib \(app\/work\.py:4\d\)/);
    await p.page.keyboard.press("Escape");
    await p.page.keyboard.press("Escape");
    assert.match(await search("/^(fib|EVENT\\.wait)/"), /^45\.5 % matched/);
    assert.match(await search("work.py:22"), /^24\.2 % matched; 1 of 1 frame$/);
    assert.match(await search("app/work.py:20"), /^42\.4 % matched; 1 of 2 frames$/, "where a function begins: all its lines");
    assert.match(await search("ork.py:22"), /^0 % matched$/, "a file's whole name");
    assert.match(await search("/(/"), /not a regular expression/);
    assert.match(await search("no such name"), /^0 % matched$/);
    await p.end();
  },

  async "narrow, dark, by touch"() {
    const p = await open(makePage("many", "-i"), NARROW);
    assert.equal(await p.page.evaluate(() => document.documentElement.dataset.theme), "dark");
    assert.equal(await p.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing beside the screen");
    await p.press("[data-view=inverted]");
    await p.press("[data-view=flame]");
    assert.equal(await p.hash(), "#view=flame");
    await p.press("[data-view=icicle]");
    await p.page.locator("#graph").scrollIntoViewIfNeeded();
    await p.click(1, 0.1);
    assert.match(await p.text("of"), /^of process 300/);
    assert.match(await p.text("details"), /^process 300: /);
    await p.press("#unzoom");
    // a finger over the bands: by the protocol, because playwright has only taps
    await p.page.locator("#strip").scrollIntoViewIfNeeded();
    const box = await p.page.locator("#time").boundingBox(), x = (s) => box.x + 62 + (box.width - 62) * s / 4;
    const cdp = await p.page.context().newCDPSession(p.page), y = box.y + 20;
    await cdp.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: x(1) + 1, y }] });
    for (const s of [1.5, 2, 2.99]) await cdp.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [{ x: x(s), y }] });
    await cdp.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    const [, from, to] = (await p.hash()).match(/^#from=(\d+)&to=(\d+)$/) || [];
    assert.ok(Math.abs(from - 1e9) < 3e7 && Math.abs(to - 3e9) < 5e7, await p.hash());
    await p.press("#whole");
    await p.press("[data-by=line]");
    await p.press("[data-sort=total]");
    await p.press("#body tr:nth-child(1) button");
    assert.match(await p.text("matched"), /matched/);
    await p.press("#legend button:has-text('own code')");
    await p.press("#theme");
    assert.equal(await p.page.evaluate(() => document.documentElement.dataset.theme), "light");
    await p.press("#help");
    await p.press("#next");
    await p.press("#reset");
    assert.equal(await p.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing beside the screen");
    await p.end();
  },

  async "an address brings everything back, and a bad one does no harm"() {
    const url = makePage("many", "-i");
    const hash = "#view=flame&order=weight&zoom=2&q=work&thread=0&from=1000000000&to=2000000000&by=line&sort=total&only=0&theme=dark";
    let p = await open(url + hash);
    assert.equal(await p.hash(), hash);
    assert.equal(await p.page.inputValue("#query"), "work");
    assert.equal(await p.page.evaluate(() => document.documentElement.dataset.theme), "dark");
    assert.match(await p.text("range-text"), /^1\.00 s to 2\.00 s is chosen/);
    for (const b of ["[data-view=flame]", "[data-order=weight]", "[data-by=line]", "#legend [data-origin='0']"]) assert.equal(await p.page.getAttribute(b, "aria-pressed"), "true", b);
    await p.end();
    p = await open(url);
    for (const bad of ["#zoom=99999", "#zoom=-1", "#zoom=x", "#zoom=1.1.1&view=inverted", "#q=" + "a".repeat(50000), "#%%%", "#zoom=1&zoom=2", "#from=5&to=1", "#from=NaN&to=Infinity", "#from=-1e99",
      "#thread=99", "#thread=__proto__&by=constructor&sort=toString&view=__proto__", "#only=9.8.x", "#q=%2F(a%2B)%2B%24%2F", "#theme=%3Cscript%3E"]) {
      await p.go(bad);
      assert.ok((await p.rows()).length >= 0 && (await p.text("title")).length > 0, bad);
    }
    await p.go("q=%2F(a%2B)%2B%24%2F");
    assert.equal(await p.text("matched"), "Enter searches for it", "a stranger's regular expression is not run");
    await p.end();
  },

  async "hostile names are text"() {
    run("unit/test_page", "--write", work);
    for (const [name, settings] of [["hostile", WIDE], ["hostile_page", NARROW]]) {
      const url = makePage(name, "-i", "-t", "--title", "</title><script>alert(9)</script>");
      const p = await open(url, settings);
      assert.equal(await p.page.evaluate(() => document.querySelectorAll("script").length), 2, "the facts and the page's own");
      assert.equal(await p.page.evaluate(() => document.querySelectorAll("img, a, iframe, object, embed, svg").length), 0);
      assert.equal(await p.page.evaluate(() => [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => /^on/i.test(a.name))).length), 0);
      assert.equal(await p.text("title"), "</title><script>alert(9)</script>");
      await p.go("by=line");
      const names = (await p.rows()).map((r) => r[0]);
      for (const want of name === "hostile" ? ["</script><script>alert(1)</script> (</title><img src=x onerror=alert(2)>.py:2)", "new\\nline\\ttab\\rcr (line\\nbreak.py:6)", "bidi \\u202egnp.exe\\u2066 (\\u200f.py:8)",
        "surrogate \\udc80 bad \\xff\\xc3 (\\udc80.py:9)", "__proto__ (constructor:13)"] : ["<!--<script> (hostile.py:1)", "line\\u2028separator\\u2029 (hostile.py:2)", "nul \\x00 inside (hostile.py:3)"]) {
        assert.ok(names.includes(want), want + " is not among " + JSON.stringify(names.map((n) => n.slice(0, 100))));
      }
      if (name === "hostile_page") assert.ok(names.some((n) => n.startsWith("long") && n.length < 2100 && n.includes("\u2026 (65,536 bytes)")), "a name of as much as a recording holds is cut, and it is said");
      for (const word of ["</script>", "__proto__"]) {
        await p.page.fill("#query", word);
        await p.page.keyboard.press("Enter");
      }
      await p.page.evaluate(() => document.activeElement.blur());
      for (const key of ["Escape", "2", "3", "1"]) await p.page.keyboard.press(key);
      await p.page.evaluate(() => { for (let i = 0; i < 20; i++) document.querySelectorAll("#body button")[i]?.click(); });
      await p.end();
    }
  },

  async "what is too light is hatched, and said"() {
    let p = await open(makePage("wide", "-i", "--max-frames", "500"));
    assert.match(await p.text("losses"), /[\d,]+ of 48,\d+ frames are too light to be in this page: hatched boxes stand for them/);
    await p.page.focus("#graph");
    await p.end();
    p = await open(makePage("wide", "-i"));
    assert.equal(await p.text("losses"), "lost: nothing");
    const top = report("top", "-i", "--limit", "100", "wide.pyspy").rows.map((r) => [placed(r), ...numbers(r)]);
    assert.deepEqual(await p.page.evaluate(() => [...document.querySelectorAll("#body tr")].map((r) => [r.querySelector("button").title, ...["selfN", "totalN", "selfNs", "totalNs"].map((k) => Number(r.dataset[k]))])), top, "in the same order, too");
    const ms = await p.page.evaluate(() => {
      const begin = performance.now();
      location.hash = "zoom=1";
      return new Promise((ok) => addEventListener("hashchange", () => ok(performance.now() - begin), { once: true }));
    });
    console.log("      zoom in a page of 48,000 frames: " + Math.round(ms) + " ms");
    await p.end();
  },

  async "lines: the sources as a heat map"() {
    // app.py as it was recorded, parse.py another one; the rest is not here
    const source = Array.from({ length: 40 }, (_, i) => "x" + (i + 1) + " = '</script><img src=x onerror=alert(1)>\t\x1b[31m\u202e'");
    source[9] = "def work():";
    fs.mkdirSync(path.join(work, "src", "app"), { recursive: true });
    fs.writeFileSync(path.join(work, "src", "app.py"), source.join("\n") + "\n");
    fs.writeFileSync(path.join(work, "src", "app", "parse.py"), "pass\n".repeat(60));
    const file = path.join(work, "lines.html"), options = ["-i", "--source-dir", path.join(work, "src")];
    run("pyspy-report", "lines", ...options, "-o", file, "small.pyspy");
    const want = report("lines", ...options, "small.pyspy").rows;
    for (const settings of isFull ? [WIDE, { ...NARROW, javaScriptEnabled: false }] : [WIDE]) {
      const context = await browser.newContext(settings), page = await context.newPage(), bad = [];
      context.on("request", (r) => { if (r.url() !== pathToFileURL(file).href && r.url() !== "data:,") bad.push(r.url()); });
      page.on("console", (m) => bad.push(m.text()));
      page.on("pageerror", (e) => bad.push(e.message));
      page.on("dialog", (d) => bad.push(d.message()));
      await page.goto(pathToFileURL(file).href);
      const read = settings.javaScriptEnabled === false ? [] : await page.evaluate(() => [...document.querySelectorAll("section tr[data-self-n]")].map((r) => [r.closest("section").querySelector("h2").textContent,
        Number(r.querySelector("th").textContent), ...["selfN", "totalN", "selfNs", "totalNs"].map((k) => Number(r.dataset[k])), r.children[3].textContent]));
      if (settings.javaScriptEnabled !== false) {
        assert.deepEqual(sorted(read.map((r) => r.slice(0, 6))), sorted(want.map((r) => [r.file, r.line, ...numbers(r)])));
        assert.equal(read.find((r) => r[0] === "/srv/app/app.py" && r[1] === 12)[6], source[11].replace("\t", " ".repeat(8 - source[11].indexOf("\t") % 8)).replace("\x1b", "\\x1b").replace("\u202e", "\\u202e"));
        assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll(".warning")].map((e) => e.closest("section").querySelector("h2").textContent)), ["/srv/app/app/parse.py"]);
        assert.match(await page.evaluate(() => document.querySelector(".warning").textContent), /^not the source that was recorded: 1 of 1 functions do not begin where they did \(line 42: Parser\.parse\)/);
        assert.match(await page.evaluate(() => document.body.textContent), /its source is not here; --source-dir DIR says where to look/);
        assert.equal(await page.evaluate(() => [document.querySelectorAll("img").length, document.querySelectorAll("script").length, document.querySelectorAll("[style]").length].join()), "0,1,0");
        await page.keyboard.press("n");
        assert.equal(await page.evaluate(() => document.querySelector(".current th").textContent), "659", "the hottest first");
        await page.keyboard.press("N");
        await page.keyboard.press("t");
        assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
        await page.click("#theme");
        await page.click("nav a");
        assert.match(page.url(), /#file-1$/);
      }
      assert.deepEqual(bad.filter((s) => !/#file-1$/.test(s)), []);
      await context.close();
    }
    const html = fs.readFileSync(file, "utf8");
    assert.match(html, /default-src 'none'; script-src 'sha256-/);
    assert.doesNotMatch(html, /unsafe-inline|https?:\/\/| style=/);
  },

  async "the policy stands in the file, the same bytes come twice, nothing to show is said"() {
    const a = makePage("many", "-i"), b = makePage("many", "-i");
    const html = fs.readFileSync(new URL(a), "utf8");
    assert.equal(html, fs.readFileSync(new URL(b), "utf8"));
    assert.match(html, /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}='; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'">/);
    assert.doesNotMatch(html, /unsafe-inline|https?:\/\/|<link(?! rel="icon" href="data:,")| style=/);
    assert.equal(run("pyspy-report", "flamegraph", "-i", "--format", "html", "many.pyspy"), html, "--format html on standard output");
    // a script that somebody adds does not run
    fs.writeFileSync(path.join(work, "tampered.html"), html.replace("</body>", "<script>document.title = 'run'</script></body>"));
    const page = await browser.newPage();
    await page.goto(pathToFileURL(path.join(work, "tampered.html")).href);
    await page.waitForFunction(() => document.documentElement.dataset.ready);
    assert.notEqual(await page.title(), "run");
    await page.close();
    const p = await open(makePage("many", "--thread", "nobody"));
    assert.match(await p.text("samples"), /nothing is left/);
    assert.equal((await p.rows()).length, 0);
    for (const key of ["2", "3", "1", "n", "Escape"]) await p.page.keyboard.press(key);
    await p.click(0, 0.5);
    await p.end();
  },
};

let failed = 0;
try {
  run("unit/test_report_views", "--write", work);
  for (const [name, test] of Object.entries(tests)) {
    if (process.argv[2] && !name.includes(process.argv[2])) continue;
    const begin = Date.now();
    try {
      await test();
      console.log("ok    " + name + " (" + (Date.now() - begin) + " ms)");
    } catch (e) {
      failed++;
      console.log("FAIL  " + name + ": " + (e.stderr ? e.stderr.toString() : e.stack));
    }
  }
} finally {
  await browser.close();
  fs.rmSync(work, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
