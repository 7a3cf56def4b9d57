// A real browser for the stories: commands in, answers out, one JSON object a line; `../../src/browser.rs` is the
// other end. Every person has a context of their own, so that none sees another's cookies.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const PATIENCE_MS = 15_000;
const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    // As root, Chromium starts without its sandbox only. It sees nothing but what the stories serve on loopback.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
  ],
});

/** Page and what its console complained about, by the person's name. */
const people = new Map();

async function open({ person, width = 1024, height = 768, dark = false }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  const someone = { context, page, complaints, status: null };
  page.on("response", (response) => {
    const request = response.request();
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) someone.status = response.status();
  });
  people.set(person, someone);
}

/** What has the focus: role or tag, its name, and whether one can see that it has the focus. Runs in the page. */
function focused() {
  const element = document.activeElement;
  const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return {
    tag: element.localName,
    name: name.replace(/\s+/g, " ").trim(),
    visible: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
  };
}

/** By how many pixels the page is wider than the window. Runs in the page. */
function overflow() {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth - clientWidth;
}

/** What axe finds fault with on the page, each with one element that has the fault. */
async function faults(_, { page }) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ impact, id, nodes }) => `${impact} ${id} (${nodes.length}): ${nodes[0].html.slice(0, 200)}`);
}

/** Elements that a text of somebody else's has become, and handlers. Runs in the page. */
function injected() {
  const elements = document.querySelectorAll("body script, body img, body iframe, a[href^='javascript:'], body object");
  const handlers = [...document.querySelectorAll("body *")].filter((element) =>
    element.getAttributeNames().some((name) => name.startsWith("on")),
  );
  return [...elements, ...handlers].map((element) => element.outerHTML.slice(0, 200));
}

/** What is selected. Runs in the page. */
function selection() {
  return getSelection().toString();
}

/** Each takes the command and the person's page, context and complaints. */
const COMMANDS = {
  goto: async ({ url }, { page }) => (await page.goto(url))?.status() ?? null,
  click: ({ role, name }, { page }) => page.getByRole(role, { name, exact: true }).click(),
  // Pages that are not ours may have a placeholder in place of a label.
  fill: ({ label, value }, { page }) =>
    page.getByLabel(label, { exact: true }).or(page.getByPlaceholder(label, { exact: true })).fill(value),
  choose: ({ label, option }, { page }) => page.getByRole("combobox", { name: label, exact: true }).selectOption({ label: option }),
  unfold: ({ name }, { page }) => page.locator("summary", { hasText: name }).click(),
  wait_for_text: ({ text }, { page }) => page.getByText(text).first().waitFor(),
  faults,
  injected: (_, { page }) => page.evaluate(injected),
  stored: (_, { page }) => page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })),
  count: ({ role, name }, { page }) => page.getByRole(role, { name, exact: true }).count(),
  text: (_, { page }) => page.locator("body").innerText(),
  html: (_, { page }) => page.content(),
  title: (_, { page }) => page.title(),
  url: (_, { page }) => page.url(),
  wait_for_url: ({ part }, { page }) => page.waitForURL((url) => url.href.includes(part)),
  wait_for: ({ role, name }, { page }) => page.getByRole(role, { name, exact: true }).waitFor(),
  status: (_, { status }) => status,
  press: ({ key }, { page }) => page.keyboard.press(key),
  type: ({ value }, { page }) => page.keyboard.insertText(value),
  focused: (_, { page }) => page.evaluate(focused),
  overflow: (_, { page }) => page.evaluate(overflow),
  // The corner, because the middle of something wide may be out of sight.
  selected_by_click: async ({ selector }, { page }) => {
    await page.locator(selector).click({ position: { x: 8, y: 8 } });
    return page.evaluate(selection);
  },
  // With "no content" the page before stays.
  stay_off: ({ part }, { page }) =>
    page.route((url) => url.href.includes(part), (route) => route.fulfill({ status: 204 })),
  back: async (_, { page }) => (await page.goBack())?.status() ?? null,
  cookies: (_, { context }) => context.cookies(),
  set_cookie: ({ url, name, value }, { context }) => context.addCookies([{ url, name, value }]),
  screenshot: ({ path }, { page }) => page.screenshot({ path, fullPage: true }),
  complaints: (_, { complaints }) => complaints.splice(0),
  close: ({ person }, { context }) => {
    people.delete(person);
    return context.close();
  },
};

async function obey(command) {
  if (command.do === "version") return browser.version();
  if (command.do === "open") return open(command);
  const person = people.get(command.person);
  if (person === undefined) throw new Error(`nobody is called ${command.person}`);
  return COMMANDS[command.do](command, person);
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await Promise.resolve(JSON.parse(line))
    .then(obey)
    .then(
      (value) => ({ value: Buffer.isBuffer(value) || value === undefined ? null : value }),
      (error) => ({ error: String(error) }),
    );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
