// The page as somebody uses it, in Chromium: by mouse, by keyboard, and as axe sees it.
'use strict';
const { execFileSync, spawn } = require('node:child_process');
const { mkdirSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { chromium } = require('playwright-core');

const [, , program, executablePath] = process.argv;
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const folder = mkdtempSync(path.join(tmpdir(), 'page-'));
const shots = process.env.SHOTS;
const results = { passed: 0, failures: [] };

function check(what, holds, seen = '') {
  if (holds) results.passed += 1;
  else results.failures.push(`${what}${seen ? `: ${seen}` : ''}`);
}

// A page of its own, and what it complains of. What is asked of other places is a complaint, too.
async function open(browser, url, { width = 1440, height = 900, scheme = 'light' } = {}) {
  // axe is put into the page, which its own policy would not let in.
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, bypassCSP: true, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  page.on('request', (request) => new URL(request.url()).host !== new URL(url).host && complaints.push(`asks ${request.url()}`));
  const begun = Date.now();
  await page.goto(url);
  await page.locator('.tile').first().waitFor();
  return { page, complaints, took: Date.now() - begun, close: () => context.close() };
}

const picture = async (page, name) => {
  if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`) });
};

async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const says = serious.map(({ id, nodes }) => `${id} at ${nodes[0].html.slice(0, 120)}`);
  check(`${what}: axe has no serious finding`, serious.length === 0, says.join('; '));
}

const status = (page, state) => page.locator(`g[data-state="${state}"]`).getAttribute('data-status');
const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

// A drill's file: the slider, the keys, every width, both schemes.
async function file(browser) {
  const html = path.join(folder, 'drill.html');
  execFileSync(program, ['drill', '--html', html], { stdio: 'ignore' });
  const url = pathToFileURL(html).href;
  const { page, complaints, close } = await open(browser, url);
  const slider = page.getByRole('slider', { name: 'Time' });
  check('a file shows its end first', (await page.locator('.lead').textContent()).includes('RECOVERED llama-7b'));
  check('the message is there at the end', (await page.locator('#messages pre').textContent()).includes('llama-7b'));

  const box = await slider.boundingBox();
  await page.mouse.move(box.x + box.width - 8, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2, { steps: 20 });
  await page.mouse.up();
  const at = Number(await slider.inputValue());
  check('the slider is dragged', at > 850 && at < 1100, at);
  await page.locator('g[data-state="WaitForInstanceActive"][data-status="running"]').waitFor();
  check('the path is shown as far as it had come', (await status(page, 'RunDcgm')) !== null && (await status(page, 'RelaunchJob')) === null);
  check('the message is not there yet', (await page.locator('#messages').textContent()).includes('Nobody was told'));
  check('the node is down', (await page.locator('.tile.warn').textContent()).includes('host is down'));
  check('its bar is in the timeline', (await page.locator('.row.of-node').count()) === 1);
  await picture(page, 'file');

  await slider.press('Home');
  check('a key sets it to the start', (await slider.inputValue()) === '0');
  await page.locator('g[data-status]').first().waitFor({ state: 'detached' });
  check('nothing has happened then', (await page.locator('#headline').textContent()) === 'All is well');
  await page.getByRole('button', { name: 'Next event' }).press('Enter');
  check('the next event is a key away', Number(await slider.inputValue()) > 0);
  await page.getByRole('button', { name: 'Play' }).press('Enter');
  const before = Number(await slider.inputValue());
  await page.waitForTimeout(400);
  check('it plays', Number(await slider.inputValue()) > before);
  await page.getByRole('button', { name: 'Pause' }).press('Enter');
  await page.locator('.tile[tabindex="0"]').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await page.locator('.tile[aria-pressed="true"]:focus b').filter({ hasText: /^1$/ }).waitFor();
  check('arrows go from node to node', true);
  check('a file has no complaint', complaints.length === 0, complaints.join('; '));
  await close();

  for (const scheme of ['light', 'dark']) {
    for (const width of [400, 1000, 2000]) {
      const { page, complaints, close } = await open(browser, url, { width, scheme });
      await page.getByRole('slider', { name: 'Time' }).fill('900');
      await page.locator('g[data-status="running"]').first().waitFor();
      check(`${width} pixels, ${scheme}: nothing hangs over`, (await wide(page)) <= 0);
      await accessible(page, `${width} pixels, ${scheme}`);
      check(`${width} pixels, ${scheme}: no complaint`, complaints.length === 0, complaints.join('; '));
      await picture(page, `file-${width}-${scheme}`);
      await close();
    }
  }
}

// A sandbox with these options, for as long as `use` takes.
async function within(options, use) {
  const sandbox = spawn(program, ['sandbox', '--port', '0', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = await new Promise((resolve, reject) => {
      let text = '';
      sandbox.on('exit', () => reject(new Error(`the sandbox has ended: ${text}`)));
      sandbox.stdout.on('data', (data) => {
        text += data;
        const [found] = text.match(/http:\/\/127\.0\.0\.1:\d+/) ?? [];
        if (found) resolve(`${found}/`);
      });
    });
    await use(url);
  } finally {
    sandbox.removeAllListeners('exit');
    sandbox.kill();
  }
}

// From break-gpu to the message, without another terminal.
function live(browser) {
  return within(['--speed', '60'], async (url) => {
    // Before the ranks run there is nothing that a bad GPU could end.
    const { page, complaints, took, close } = await open(browser, url);
    // The best of three: this machine has other work, and the very first may meet the picture being drawn.
    const all = [took];
    for (let n = 0; n < 2; n += 1) {
      const again = await open(browser, url);
      all.push(again.took);
      await again.close();
    }
    check('the first picture is there within a second', Math.min(...all) < 1000, `${all} ms`);
    await page.waitForFunction(() => document.querySelector('#since').textContent >= '+02:00');
    await page.locator('.tile').nth(3).click();
    await page.getByRole('button', { name: 'break-gpu' }).click();
    check('the node that is looked at is meant', (await page.locator('dialog').getByLabel('node').inputValue()) === '3');
    await accessible(page, 'a question');
    await page.keyboard.press('Enter');
    await page.locator('#done').filter({ hasText: 'is bad' }).waitFor();
    await page.locator('g[data-state="ClaimJob"][data-status]').waitFor();
    check('the path is shown', (await page.locator('g.edge[data-taken]').count()) > 0);
    await page.locator('g[data-state="WaitForInstanceActive"][data-status="running"]').waitFor({ timeout: 60_000 });
    await page.locator('.tile.warn').waitFor({ timeout: 30_000 });
    check('the node is shown', (await page.locator('.tile.warn b').textContent()) === '3');
    check('its record is shown', (await page.locator('#node').textContent()).includes('REBOOTING'));
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Play' }).waitFor();
    const stood = await page.locator('#clock').textContent();
    await page.waitForTimeout(500);
    check('time stands still', (await page.locator('#clock').textContent()) === stood);
    await picture(page, 'live');
    await accessible(page, 'live');
    if (process.env.UPDATE_SHOT === '1') {
      await page.setViewportSize({ width: 1120, height: 700 });
      await page.screenshot({ path: 'docs/page.png' });
    }
    await page.getByRole('button', { name: 'Step' }).click();
    await page.locator('#clock').filter({ hasNotText: stood }).waitFor();
    await page.getByLabel('Speed').selectOption('600');
    await page.locator('#messages details').first().waitFor({ timeout: 60_000 });
    check('the message is shown', (await page.locator('#messages pre').first().textContent()).includes('runs again as attempt 2'));
    check('the story is told', (await page.locator('#story').textContent()).includes('was cordoned'));
    check('it goes on without a complaint', complaints.length === 0, complaints.join('; '));

    await page.getByRole('button', { name: 'end-rank' }).click();
    await page.locator('dialog').getByLabel('rank').fill('99');
    await page.getByRole('button', { name: 'Do it' }).click();
    await page.getByRole('alert').filter({ hasText: 'has no rank 99' }).waitFor();
    check('a mistake is said where it was made', await page.locator('dialog[open]').isVisible());
    await page.keyboard.press('Escape');
    await close();
  });
}

// 64 nodes and a recovery, ten hours a minute: the page keeps up, and nothing piles up behind it.
function fast(browser) {
  return within(['--nodes', '64', '--speed', '600'], async (url) => {
    const { page, complaints, close } = await open(browser, url);
    await page.waitForFunction(() => document.querySelector('#since').textContent >= '+02:00');
    const told = await page.request.post(`${url}_sandbox/do`, { data: ['break-gpu', '9'] });
    check('a deed is done', told.ok(), await told.text());
    const seen = await page.evaluate(async () => {
      const [begun, gaps] = [performance.now(), []];
      let last = begun;
      while (last - begun < 3000) {
        const now = await new Promise(requestAnimationFrame);
        gaps.push(now - last);
        last = now;
      }
      const time = await (await fetch('/_sandbox/time')).json();
      await new Promise((resolve) => setTimeout(resolve, 500));
      return { gaps: gaps.sort((a, b) => a - b), behind: time.sinceStart - live.time.now };
    });
    const typical = seen.gaps[Math.floor(seen.gaps.length * 0.9)];
    check('nine frames of ten come within a twentieth of a second', typical < 50, `${typical.toFixed(0)} ms`);
    check('half a second later it shows what was then', seen.behind <= 0, `${seen.behind} s`);
    check('fast, and no complaint', complaints.length === 0, complaints.join('; '));
    if (process.env.FIGURES) console.log(`frames: ${seen.gaps.length} in 3 s, nine of ten within ${typical.toFixed(0)} ms`);
    await picture(page, 'fast');
    await close();
  });
}

async function main() {
  if (shots) mkdirSync(shots, { recursive: true });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--force-color-profile=srgb'] });
  try {
    for (const part of [file, live, fast]) {
      await part(browser).catch((error) => check(part.name, false, error.message));
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
  for (const failure of results.failures) console.log(`FAILED: ${failure}`);
  console.log('The page in Chromium, a file and live, held against axe:');
  console.log(`${results.passed} passed, ${results.failures.length} failed`);
  process.exitCode = results.failures.length ? 1 : 0;
}

main();
