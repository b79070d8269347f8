// A person with a browser at the demo's phone page. One person does one thing:
//
//   node phone.mjs PAGE LANDING LOCALE scan CODE approve|deny
//   node phone.mjs PAGE LANDING LOCALE answer approve|deny
//
// PAGE is the address of a number's phone page, LANDING that of the gateway's landing
// page, LOCALE what the browser asks for. `scan` checks in by a shop's code and answers
// the request that follows; `answer` answers a login that ends on the landing page.
// CIBA_TEST_CHROMIUM is the browser; nothing is downloaded.
//
// Prints what it has seen, and exits with 0 when all was as it should be. What holds on
// every page: nothing but these two hosts is asked, no cookie is set, the console has
// no error, and the Content-Security-Policy lets nothing in from elsewhere.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [page, landing, locale, verb, ...rest] = process.argv.slice(2);
const answer = rest.at(-1);

/** What the landing page says, by the language that the browser asks for. */
const WORDS = {
  nb: { approve: 'Ferdig', deny: 'Det gikk ikke', again: 'Allerede brukt' },
  en: { approve: 'Done', deny: 'It did not work', again: 'Already used' },
};
const BUTTONS = { approve: /^Approve /, deny: /^Deny / };
const SAID = { approve: 'Approved.', deny: 'Denied.' };

/** A busy machine is slow; whoever has to wait longer has found a defect. */
const PATIENCE = 18_000;

/** A page's policy: all is forbidden, and nothing loose is let in. */
function isStrict(policy) {
  const directives = policy.split(';').map((directive) => directive.trim().split(/\s+/));
  assert.deepEqual(directives.shift(), ['default-src', "'none'"], policy);
  for (const [name, ...sources] of directives) {
    for (const source of sources) {
      const isAllowed = source === "'none'" || /^'(nonce|sha256)-[\w+/=-]{20,}'$/.test(source)
        || (name === 'connect-src' && source === "'self'") || (name === 'img-src' && source === 'data:');
      assert(isAllowed, `${name} ${source}`);
    }
  }
  const names = directives.map(([name]) => name);
  for (const name of ['base-uri', 'form-action', 'frame-ancestors']) assert(names.includes(name), policy);
}

/** A window of a browser that is watched. */
class Window {
  #errors = [];
  #hosts = new Set();

  static async open(browser) {
    const window = new Window();
    window.context = await browser.newContext({ locale, viewport: { width: 390, height: 844 } });
    window.context.setDefaultTimeout(PATIENCE);
    window.page = await window.context.newPage();
    window.page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol !== 'data:') window.#hosts.add(host);
    });
    window.page.on('pageerror', (error) => window.#errors.push(String(error)));
    window.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) window.#errors.push(message.text());
    });
    return window;
  }

  /** What a response's headers must say, whatever its status. */
  async isSafe(response) {
    const headers = await response.allHeaders();
    isStrict(headers['content-security-policy'] ?? '');
    assert.equal(headers['set-cookie'], undefined);
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(headers['content-type'], /^text\/html; charset=utf-8$/);
    return headers;
  }

  /** The browser says that a page came with such a status: that is no defect. */
  expects(status) {
    const about = `Failed to load resource: the server responded with a status of ${status} `;
    const before = this.#errors.length;
    this.#errors = this.#errors.filter((error) => !error.startsWith(about));
    assert(before - this.#errors.length <= 1, `more than one ${status}`);
  }

  async isClean() {
    assert.deepEqual(this.#errors, [], 'the console is empty');
    assert.deepEqual(await this.context.cookies(), [], 'there are no cookies');
    const known = new Set([page, landing].map((address) => new URL(address).host));
    assert.deepEqual([...this.#hosts].filter((host) => !known.has(host)), [], 'nobody else is asked');
    const kept = await this.page.evaluate(() => localStorage.length + sessionStorage.length);
    assert.equal(kept, 0, 'nothing is kept');
  }
}

async function opensThePhone(window) {
  const response = await window.page.goto(page);
  assert.equal(response.status(), 200);
  await window.isSafe(response);
  assert.equal(await window.page.title(), `Phone +${page.split('/').at(-1)}`);
  console.log('the phone page is open');
}

const button = (window) => window.page.getByRole('button', { name: BUTTONS[answer] });

async function scans(window, code) {
  const codes = window.page.getByLabel("Shop's QR code");
  await codes.locator(`option[value="${code}"]`).waitFor({ state: 'attached' });
  await codes.selectOption(code);
  await window.page.getByRole('button', { name: 'Check in' }).click();
  await window.page.getByText('Compare this code').waitFor();
  console.log('the request is there');
  await button(window).click();
  await window.page.getByRole('status').getByText(SAID[answer]).waitFor();
  await window.page.locator('#requests > li').waitFor({ state: 'detached' });
  console.log(`the phone says: ${SAID[answer]}`);
}

async function lands(window) {
  const isLanding = (response) => response.url().startsWith(`${landing}?`) && response.request().isNavigationRequest();
  const [response] = await Promise.all([window.page.waitForResponse(isLanding), button(window).click()]);
  await window.page.waitForURL((url) => url.href.startsWith(`${landing}?`));
  const status = answer === 'approve' ? 200 : 400;
  await says(window, response, status, answer);
  // Whoever loads the page again is not told that it went wrong.
  if (answer === 'approve') await says(window, await window.page.reload(), 410, 'again');
}

async function says(window, response, status, what) {
  assert.equal(response.status(), status);
  const headers = await window.isSafe(response);
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['x-frame-options'], 'DENY');
  const language = locale.split('-')[0];
  const words = WORDS[language][what];
  await window.page.getByRole('heading', { name: words, exact: true }).waitFor();
  assert.equal(await window.page.locator('html').getAttribute('lang'), language);
  assert.equal(await window.page.title(), words);
  assert.equal(await window.page.locator('script').count(), 0);
  const size = await window.page.locator('h1').evaluate((heading) => getComputedStyle(heading).fontSize);
  assert.equal(size, '22.4px', "the page's own style has an effect");
  if (status !== 200) window.expects(status);
  console.log(`the landing page says: ${words}`);
}

// Without a sandbox, which root has none of: only our own pages are opened. No other host
// has an address.
const browser = await chromium.launch({
  executablePath: process.env.CIBA_TEST_CHROMIUM,
  args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  chromiumSandbox: false,
});
try {
  console.log(`browser ${browser.version()}`);
  const window = await Window.open(browser);
  await opensThePhone(window);
  if (verb === 'scan') await scans(window, rest[0]);
  else if (verb === 'answer') await lands(window);
  else throw new Error(`no such verb: ${verb}`);
  await window.isClean();
  console.log('all was as it should be');
} finally {
  await browser.close();
}
