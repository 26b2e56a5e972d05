import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The browser pages: the mode names one, which is built into `dist/<mode>` and served under `/<mode>/`. */
const PAGES: Readonly<Record<string, string>> = {
  worklist: './src/steps/worklist/page',
  operator: './src/steps/message-log/page',
};

/** `vite build --mode worklist`, `vite build --mode operator`. */
export default defineConfig(({ mode }) => {
  const folder = PAGES[mode];
  if (folder === undefined) throw new Error(`--mode must be one of: ${Object.keys(PAGES).join(', ')}`);
  return {
    root: fileURLToPath(new URL(folder, import.meta.url)),
    base: `/${mode}/`,
    clearScreen: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: fileURLToPath(new URL(`./dist/${mode}`, import.meta.url)),
      emptyOutDir: true,
      target: 'es2022',
      // The Content-Security-Policy allows no inline script and no data: URL, so nothing may be put into the page itself.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  };
});
