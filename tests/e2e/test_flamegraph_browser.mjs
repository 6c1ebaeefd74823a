// needs: viewers
// timeout: 240
// The flame graph in a real browser: it is complete without script; zoom, search, reset and the address work as
// documented; nothing is requested, nothing but the search prompt opens, and names cannot make it do anything.
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
const work = fs.mkdtempSync(path.join(os.tmpdir(), "pyspy-browser-"));
const run = (program, ...args) => execFileSync(path.join(build, program), args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] }).toString();

function picture(name, ...options) {
  const svg = path.join(work, name + ".svg");
  run("pyspy-report", "flamegraph", "-i", ...options, "-o", svg, name + ".pyspy");
  return pathToFileURL(svg).href;
}

const browser = await chromium.launch({
  executablePath: chrome, headless: true,
  // nothing but this machine has a name, so that a page that calls home is seen and gets nowhere
  args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});

// A page that writes down whatever it should not do. `answers` are given to prompts, in order.
async function open(url, settings = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...settings });
  const page = await context.newPage();
  const sins = [], answers = [];
  const self = url.split("#")[0];
  context.on("request", (r) => { if (r.url().split("#")[0] !== self) sins.push("request " + r.url()); });
  page.on("popup", () => sins.push("popup"));
  page.on("download", () => sins.push("download"));
  page.on("console", (m) => { if (m.type() === "error") sins.push("console: " + m.text()); });
  page.on("pageerror", (e) => sins.push("exception: " + e.message));
  page.on("dialog", (d) => {
    if (d.type() === "prompt" && answers.length) return d.accept(answers.shift());
    sins.push(d.type() + ": " + d.message());
    return d.dismiss();
  });
  await page.goto(url);
  const text = (id) => page.evaluate((i) => document.getElementById(i).textContent, id);
  return {
    page, sins, text,
    shown: (id) => page.evaluate((i) => getComputedStyle(document.getElementById(i)).display !== "none", id),
    // frames that can be seen: [name, x, width] in units of the picture
    frames: () => page.evaluate(() => [...document.querySelectorAll("#frames > g")]
      .filter((g) => getComputedStyle(g).display !== "none")
      .map((g) => [g.querySelector("title").textContent.split("\n")[0], +g.querySelector("rect").getAttribute("x"),
        +g.querySelector("rect").getAttribute("width")])),
    async click(name, nth = 0) {
      const box = page.locator("#frames > g").filter({ has: page.locator("title", { hasText: name }) }).nth(nth).locator("rect");
      await box.click();
    },
    async search(words) {
      answers.push(words);
      await page.keyboard.press("/");
      await page.waitForFunction(() => true);
    },
    async end() {
      assert.deepEqual(sins, []);
      await context.close();
    },
  };
}

const tests = {
  async "zoom, reset and the address"() {
    const p = await open(picture("many"));
    const before = await p.frames();
    assert.equal(before[0][0], "all");
    assert.equal(await p.shown("unzoom"), false);
    assert.match(await p.text("title"), /server\.py \(pid 300, CPython 3\.13\.0\) and 1 more process/);
    assert.match(await p.text("samples"), /^1,320 samples of 4 threads of 2 processes in 4\.0 s/);
    assert.match(await p.text("losses"), /^lost: cut 12\.1 %, late ticks 12/);
    await p.click("Work.run (app/work.py:22)");
    const zoomed = await p.frames();
    const find = (list, name) => list.find((f) => f[0] === name);
    const wide = find(before, "all");
    assert.deepEqual(find(zoomed, "Work.run (app/work.py:22)").slice(1), wide.slice(1), "the clicked frame is as wide as the picture");
    assert.deepEqual(find(zoomed, "process 300: python3 server.py").slice(1), wide.slice(1), "so are its callers");
    assert.equal(find(zoomed, "Event.wait (threading.py:659)"), undefined, "the others are gone");
    const child = find(zoomed, "deflate");
    assert.ok(Math.abs(child[2] - wide[2] * 240 / 320) < 0.1, "callees keep their share: " + child);
    assert.match(p.page.url(), /#zoom=\d+$/);
    await p.page.goBack();
    assert.deepEqual(await p.frames(), before, "Back undoes the zoom");
    await p.click("Work.run (app/work.py:22)");
    assert.equal(await p.shown("unzoom"), true);
    await p.page.click("#unzoom");
    assert.deepEqual(await p.frames(), before, "Reset zoom");
    await p.click("deflate");
    await p.page.keyboard.press("Escape");
    assert.deepEqual(await p.frames(), before, "Esc");
    await p.end();
  },

  async "search counts each stack once"() {
    const p = await open(picture("many"));
    await p.search("fib");
    assert.equal(await p.text("matched"), "Matched: 6.06 %", "40 nested frames, 80 of 1,320 samples");
    assert.equal(await p.text("search"), "Reset search");
    assert.equal(await p.page.locator("#frames > g.hit").count(), 40);
    assert.match(p.page.url(), /search=fib/);
    await p.page.click("#search");
    assert.equal(await p.text("matched"), "");
    assert.equal(await p.text("search"), "Search");
    await p.search("/^(fib|EVENT\\.wait)/");
    assert.equal(await p.text("matched"), "Matched: 45.45 %");
    await p.click("process 301");
    assert.equal(await p.text("matched"), "Matched: 45.45 %, of what is shown 44.44 %", "search survives the zoom");
    await p.page.keyboard.press("Escape");
    await p.page.keyboard.press("Escape");
    await p.search("/(/");
    assert.match(await p.text("details"), /Not a regular expression/);
    await p.search("no such name");
    assert.equal(await p.text("matched"), "Matched: 0.00 %");
    await p.end();
  },

  async "an address brings zoom and search back"() {
    const url = picture("many");
    let p = await open(url);
    await p.click("process 301");
    await p.search("WORK.RUN");
    const address = p.page.url(), frames = await p.frames(), matched = await p.text("matched");
    await p.end();
    p = await open(address);
    assert.deepEqual(await p.frames(), frames);
    assert.equal(await p.text("matched"), matched);
    await p.end();
    for (const bad of ["#zoom=99999", "#zoom=-1", "#zoom=x", "#search=" + "a".repeat(5000), "#search=%2F(a%2B)%2B%24%2F", "#%%%", "#zoom=1&zoom=2"]) {
      p = await open(url + bad);
      assert.ok((await p.frames()).length > 0, bad);
      await p.end();
    }
  },

  async "details and keyboard"() {
    const p = await open(picture("many"));
    await p.page.locator("#frames > g").nth(3).locator("rect").hover();
    assert.match(await p.text("details"), /samples, .* %, .*self /);
    await p.page.focus("#search");
    await p.page.keyboard.press("Tab");
    await p.end();
  },

  async "hostile names are text"() {
    const p = await open(picture("hostile", "-t", "--title", "</title><script>alert(9)</script>"));
    assert.equal(await p.page.evaluate(() => document.querySelectorAll("script").length), 1);
    assert.equal(await p.page.evaluate(() => document.querySelectorAll("img, foreignObject, a, image, use, iframe").length), 0);
    assert.equal(await p.page.evaluate(() => [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => /^on/i.test(a.name))).length), 0);
    const names = (await p.frames()).map((f) => f[0]);
    for (const want of ["</script><script>alert(1)</script> (</title><img src=x onerror=alert(2)>.py:2)", "\" onload=\"alert(3)\" x=' (it's \"quoted\".py:3)",
      "]]>&amp;<![CDATA[ &lt; &#0; (]]>.py:4)", "new\\nline\\ttab\\rcr (line\\nbreak.py:6)", "bidi \\u202egnp.exe\\u2066 (\\u200f.py:8)",
      "surrogate \\udc80 bad \\xff\\xc3 (\\udc80.py:9)", "__proto__ (constructor:13)"]) {
      assert.ok(names.includes(want), want + " is not among " + JSON.stringify(names));
    }
    for (const word of ["</script>", "\" onload", "]]>", "<img src=x onerror=alert(5)>", "__proto__"]) {
      await p.search(word);
      await p.page.keyboard.press("Escape");
    }
    for (let i = 0; i < names.length; i++) {
      await p.page.locator("#frames > g").nth(i).locator("rect").click();
      await p.page.click("#title");
      await p.page.keyboard.press("Escape");
    }
    await p.end();
  },

  async "big trees are cut, and say so"() {
    const p = await open(picture("wide"));
    assert.match(await p.text("losses"), /[\d,]+ of 48,\d+ frames are too small to draw: hatched boxes stand for them/);
    const more = await p.page.evaluate(() => [...document.querySelectorAll("#frames > g.more title")].map((t) => t.textContent));
    assert.ok(more.length > 0 && more.every((t) => /^\+[\d,]+ frames?, .*%\n/.test(t)));
    const drawn = await p.page.locator("#frames > g:not(.more)").count();
    assert.ok(drawn <= 10001 && drawn > 5000, drawn + " frames drawn");
    const ms = await p.page.evaluate(() => {
      const begin = performance.now();
      document.querySelectorAll("#frames > g")[1].querySelector("rect").dispatchEvent(new MouseEvent("click", { bubbles: true }));
      document.querySelector("#frames").getBoundingClientRect(); // and lay it out
      return performance.now() - begin;
    });
    console.log("      zoom in a picture of " + drawn + " frames: " + Math.round(ms) + " ms");
    assert.ok(ms < 3000, "a zoom took " + ms + " ms");
    assert.equal(await p.shown("unzoom"), true);
    await p.end();
  },

  async "by the kernel, widths are time"() {
    const p = await open(picture("kernel"));
    assert.match(await p.text("samples"), /^12 s of thread time \(749 samples\) of 3 threads in 4\.0 s; shares are of time/);
    assert.match(await p.text("legend"), /width: time/);
    const before = await p.frames();
    await p.search("function_");
    assert.equal(await p.text("matched"), "Matched: 100.00 %");
    await p.page.keyboard.press("Escape");
    // 400 of 749 samples, and 4 of 12 seconds
    const wide = before.find((f) => f[0] === "all"), box = before.find((f) => f[0] === "function_006 (kernel.py:8)");
    assert.ok(box[2] >= wide[2] / 3 && box[2] < wide[2] * 0.45, "a frame as wide as its time: " + box);
    await p.click("function_006 (kernel.py:8)");
    assert.deepEqual((await p.frames()).find((f) => f[0] === box[0]).slice(1), wide.slice(1), "zoomed");
    assert.match(await p.text("details"), /^function_006 \(kernel\.py:8\) {2}4\.\d s, 3\d\.\d %, 4\d\d samples; self 4\.\d s, 3\d\.\d %; 100\.00 % of what is shown$/);
    await p.page.keyboard.press("Escape");
    assert.deepEqual(await p.frames(), before);
    await p.end();
  },

  async "without script the picture is complete"() {
    const p = await open(picture("small"), { javaScriptEnabled: false });
    const svg = fs.readFileSync(path.join(work, "small.svg"), "utf8");
    assert.match(svg, /<title>Parser\.parse \(app\/parse\.py:55\)\n200 samples, 25\.0 %, 2\.0 s; self 200, 25\.0 %<\/title>/);
    assert.match(svg, /Open this file in a browser to zoom and search\./);
    const shot = await p.page.screenshot();
    assert.ok(shot.length > 5000, "a blank picture");
    await p.end();
  },

  async "nothing to show is said"() {
    run("pyspy-report", "flamegraph", "-g", "-o", "none.svg", "wide.pyspy");
    const svg = path.join(work, "empty.svg");
    run("pyspy-report", "flamegraph", "-o", svg, "undefined.pyspy");
    const p = await open(pathToFileURL(svg).href);
    assert.ok((await p.page.evaluate(() => document.documentElement.textContent)).includes("[lost]"));
    await p.end();
  },
};

let failed = 0;
try {
  run("unit/test_report_views", "--write", work);
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log("ok    " + name);
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
