import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Locator, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';
import { findChromium, launchChromium } from '../peers/chromium.ts';
import { measureText, type TextMeasure } from './measure-text.ts';

export const NO_CHROMIUM = findChromium() === null ? 'skipped: no Chromium' : null;

interface PageServer {
  readonly url: string;
  token(scope?: string): Promise<string>;
  stop(): Promise<void>;
}

interface ServerOptions {
  /** Folder of the signing key. */
  readonly keys: string;
  /** Folder of the built page. */
  readonly page: string;
  readonly port?: number;
}

/** Contrast that WCAG 2.2 asks of its highest level (1.4.6), and letters that are read at an arm's length. */
const CONTRAST_MIN = 7;
const TEXT_PX_MIN = 16;

/** One built page with its server, a fresh database and a real browser. `faults` holds what must never happen on a page. */
export class PageWorld<Server extends PageServer> {
  fresh!: FreshDatabase;
  server!: Server;
  page!: Page;
  faults: string[] = [];
  private folder!: string;
  private browser!: Browser;

  constructor(
    readonly name: 'worklist' | 'operator',
    private readonly startServer: (database: Database, options: ServerOptions) => Promise<Server>,
  ) {}

  async start(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'prelim-page-'));
    const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));
    const outDir = join(this.folder, 'page');
    [this.fresh, this.browser] = await Promise.all([
      freshDatabase(),
      launchChromium(),
      build({ configFile, mode: this.name, logLevel: 'error', build: { outDir } }),
    ]);
    await this.serve();
  }

  /** Starts the server, or starts it again at the same address. */
  async serve(port = 0): Promise<void> {
    const page = join(this.folder, 'page');
    this.server = await this.startServer(this.fresh.database, { keys: this.folder, page, port });
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    await this.server?.stop();
    await this.fresh?.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A new tab at the page; `behind` is what follows its address. */
  async open(behind = ''): Promise<void> {
    this.faults = [];
    const { faults, server } = this;
    this.page = await this.browser.newPage({ viewport: { width: 1440, height: 900 } });
    this.page.on('dialog', (dialog) => faults.push(`dialog ${dialog.message()}`));
    this.page.on('pageerror', (error) => faults.push(`error ${error.message}`));
    this.page.on('console', (message) => {
      if (message.type() === 'error') faults.push(`console ${message.text()}`);
    });
    this.page.on('request', (request) => {
      if (![`${server.url}/`, `blob:${server.url}/`].some((own) => request.url().startsWith(own)))
        faults.push(`request to ${request.url()}`);
    });
    await this.page.goto(`${server.url}/${this.name}/${behind}`);
  }

  /** Opens it signed in, and waits until it is live. */
  async signIn(scope?: string): Promise<void> {
    await this.open(`#token=${await this.server.token(scope)}`);
    await this.page.locator('.live', { hasText: 'Live' }).waitFor();
    expect(this.page.url()).toBe(`${this.server.url}/${this.name}/`);
  }

  /** These were meant to happen. */
  forgive(...patterns: RegExp[]): void {
    const left = this.faults.filter((fault) => !patterns.some((pattern) => pattern.test(fault)));
    this.faults.splice(0, this.faults.length, ...left);
  }

  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Every text has contrast and size, and nothing runs over the edge. */
  async expectReadable(where: string): Promise<void> {
    const measured = (await this.page.evaluate(measureText)) as TextMeasure[];
    expect(measured.length, where).toBeGreaterThan(10);
    const faint = measured.filter(({ contrast, px }) => contrast < CONTRAST_MIN || px < TEXT_PX_MIN);
    expect(faint, where).toEqual([]);
    expect(await this.page.evaluate('document.documentElement.scrollWidth <= innerWidth'), where).toBe(true);
  }

  /** Nothing that came as text has become a part of the page that could run or show. */
  async expectNothingRan(...tags: string[]): Promise<void> {
    expect(await this.page.evaluate('window.ran')).toBeUndefined();
    const parts = ['script', 'iframe', 'object', ...tags].map((tag) => `#page ${tag}`).join(', ');
    expect(await this.page.locator(parts).count()).toBe(0);
  }

  /** Pictures for people, where a folder is named. */
  async shot(name: string): Promise<void> {
    const shots = process.env['PRELIM_TEST_SHOTS'];
    if (shots) await this.page.screenshot({ path: join(shots, `${this.name}-${name}.png`), fullPage: true });
  }
}

/** For a `describe`: the world before its tests, `clean` and no fault after each of them. */
export function usePageWorld<Server extends PageServer>(
  world: PageWorld<Server>,
  clean: (database: Database) => Promise<unknown>,
): void {
  beforeAll(() => world.start());
  afterAll(() => world.stop());
  afterEach(async () => {
    await world.page.close();
    await clean(world.fresh.database);
    expect(world.faults).toEqual([]);
  });
}

/** Waits until all parts stand in the text that is shown. What joins words on the screen (line ends, non-breaking spaces) does not count. */
export async function expectText(shown: Locator, parts: readonly string[]): Promise<void> {
  await expect
    .poll(
      async () => {
        // biome-ignore lint/performance/useDomNodeTextContent: what is shown is asked for, not what is there
        const text = (await shown.innerText()).replace(/\s+/g, ' ');
        return parts.filter((part) => !text.includes(part));
      },
      { timeout: 8_000 },
    )
    .toEqual([]);
}

/** Texts that would do something if they ever became markup, an address or a program. */
export const HOSTILE_TEXTS = [
  '<script>window.ran=1</script>',
  '<img src=x onerror="window.ran=1">',
  '<svg onload="window.ran=1">',
  '<svg><animate onbegin="window.ran=1" attributeName=x dur=1s>',
  '<math><mtext><table><mglyph><style><img src=x onerror=window.ran=1>',
  '<iframe srcdoc="<script>parent.ran=1</script>">',
  '<a href="javascript:window.ran=1">click</a>',
  '<object data="data:text/html,<script>parent.ran=1</script>">',
  '<style>@import "https://attacker.example/x.css";</style>',
  '<noscript><p title="</noscript><img src=x onerror=window.ran=1>">',
  '"><body onload=window.ran=1>',
  "';window.ran=1;//",
  '{{constructor.constructor("window.ran=1")()}}',
  '<link rel=stylesheet href=https://attacker.example/x.css>',
  '</title><meta http-equiv=refresh content="0;url=https://attacker.example/">',
];
