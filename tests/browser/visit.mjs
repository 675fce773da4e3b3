// SPDX-License-Identifier: Apache-2.0
// Opens pages in Chromium with every name but 127.0.0.1 unresolvable and reports, as
// one JSON document on standard output, what each page did and shows. Judges nothing.
//
//   node visit.mjs '{"chromium": "/usr/bin/chromium", "pages": [{"url": ..., ...}]}'
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const request = JSON.parse(process.argv[2]);

async function visit(context, page, asked) {
  const seen = { foreign: [], failed: [], errors: [], violations: [] };
  const own = new URL(asked.url).origin;
  page.on("request", (sent) => {
    const url = new URL(sent.url());
    if (!["data:", "blob:"].includes(url.protocol) && url.origin !== own) seen.foreign.push(sent.url());
  });
  page.on("requestfailed", (sent) => seen.failed.push(sent.url()));
  page.on("response", (answer) => {
    if (answer.status() >= 400) seen.failed.push(`${answer.status()} ${answer.url()}`);
  });
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type())) seen.errors.push(line.text());
  });
  await page.exposeFunction("keyturnViolation", (found) => seen.violations.push(found));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.keyturnViolation(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(asked.url, { waitUntil: "load" });
  if (asked.ready) await page.waitForSelector(asked.ready);
  seen.shown = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    title: document.title,
    headings: [...document.querySelectorAll("h1, h2")].map((h) => h.innerText.trim()),
    operations: document.querySelectorAll(".opblock").length,
    bars: document.querySelectorAll("svg.bar rect").length,
    text: document.body.innerText,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }));
  if (asked.picture) await page.screenshot({ path: asked.picture, fullPage: true });
  if (asked.tryOut) seen.answer = await tryOut(page, asked.tryOut);
  if (asked.authorize) seen.answer = await authorize(page, asked.authorize);
  // Not addScriptTag: the page's own policy would refuse it.
  await page.evaluate(axe);
  const audit = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  seen.accessibility = audit.violations.map(({ id, impact, nodes }) => ({
    id, impact, where: nodes.map((node) => node.target.join(" ")).slice(0, 5),
  }));
  return seen;
}

// Presses "Try it out" and "Execute" of one operation; returns what came back.
async function tryOut(page, { path, method, values }) {
  const block = page.locator(`.opblock-${method}`).filter({
    has: page.locator(`[data-path="${path}"]`),
  });
  await block.locator(".opblock-summary-control").click();
  await block.getByRole("button", { name: "Try it out" }).click();
  for (const [name, value] of Object.entries(values ?? {})) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  const answered = page.waitForResponse((answer) => answer.request().method() === method.toUpperCase());
  await block.getByRole("button", { name: "Execute" }).click();
  await answered;
  const live = block.locator(".live-responses-table");
  await live.waitFor();
  return {
    status: (await live.locator("tr.response .response-col_status").first().innerText()).trim().split(/\s/)[0],
    body: await live.locator("tr.response .response-col_description pre").first().innerText(),
  };
}

// Pastes a token into the dialogue and tries a guarded route; returns what was sent.
async function authorize(page, { token, operation }) {
  await page.locator("button.authorize").first().click();
  const field = page.locator(".modal-ux .auth-container", { hasText: "bearer" });
  await field.locator("input").fill(token);
  await field.getByRole("button", { name: "Apply credentials" }).click();
  await page.locator(".modal-ux button.btn-done").first().click();
  const sent = page.waitForRequest((request) => request.headers().authorization !== undefined);
  const answer = await tryOut(page, operation);
  return { ...answer, authorization: (await sent).headers().authorization };
}

const browser = await chromium.launch({
  executablePath: request.chromium,
  args: ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", ...(request.args ?? [])],
});
try {
  const results = [];
  for (const asked of request.pages) {
    const context = await browser.newContext({
      viewport: { width: asked.width ?? 1200, height: 900 },
      colorScheme: asked.scheme ?? "light",
    });
    context.setDefaultTimeout(30_000);
    results.push(await visit(context, await context.newPage(), asked));
    await context.close();
  }
  process.stdout.write(JSON.stringify(results));
} finally {
  await browser.close();
}
