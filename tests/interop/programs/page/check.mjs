// SPDX-License-Identifier: Apache-2.0
// check.mjs CHROMIUM PAGE FOLDER [VIEW...]: looks at a page as a browser, an accessibility checker and a validator see it, in
// light, dark, at phone width and on paper. Prints JSON: what is wrong, what was fetched, and how wide it got. FOLDER
// gets a picture of each view.
import fs from "fs";
import os from "os";
import path from "path";
import { pathToFileURL } from "url";
import { createRequire } from "module";

const require = createRequire(path.join(process.cwd(), "node_modules", "x"));
const puppeteer = require("puppeteer-core");
const { HtmlValidate } = require("html-validate");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [chromium, page, folder, ...wanted] = process.argv.slice(2);

const views = [
	{ name: "light", width: 1000, scheme: "light" },
	{ name: "dark", width: 1000, scheme: "dark" },
	{ name: "phone", width: 360, scheme: "light" },
	{ name: "phone-dark", width: 360, scheme: "dark" },
	{ name: "print", width: 800, scheme: "dark", media: "print" },
];

async function look(browser, view) {
	const tab = await browser.newPage();
	const fetched = [], said = [];
	tab.on("request", (request) => fetched.push(request.url()));
	tab.on("dialog", (dialog) => { said.push(dialog.message()); dialog.dismiss(); });
	tab.on("console", (message) => said.push(message.text()));
	await tab.setViewport({ width: view.width, height: 900 });
	await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: view.scheme }]);
	if (view.media) await tab.emulateMediaType(view.media);
	await tab.goto(pathToFileURL(page).href);
	const widest = await tab.evaluate(() => document.documentElement.scrollWidth);
	const ground = await tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
	await tab.screenshot({ path: path.join(folder, view.name + ".png"), fullPage: true });
	await tab.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
	await tab.evaluate(axe);
	const result = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
	await tab.close();
	return {
		view: view.name, width: view.width, widest, ground, fetched, said,
		violations: result.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 3)}`),
		rules: result.passes.length,
	};
}

const profile = fs.mkdtempSync(path.join(os.tmpdir(), "keytrail-chromium-"));
const browser = await puppeteer.launch({
	executablePath: chromium, userDataDir: profile, pipe: true,
	args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"],
});
try {
	const validator = new HtmlValidate({ extends: ["html-validate:recommended"], root: true });
	const report = await validator.validateFile(page);
	const faults = report.results.flatMap((one) => one.messages.map((message) =>
		`${message.line}:${message.column} ${message.ruleId}: ${message.message}`));
	const seen = [];
	for (const view of views.filter((one) => wanted.length === 0 || wanted.includes(one.name)))
		seen.push(await look(browser, view));
	console.log(JSON.stringify({ browser: await browser.version(), faults, seen }));
} finally {
	await browser.close();
	fs.rmSync(profile, { recursive: true, force: true });
}
