import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Builds the clinician's page: `vite build -c vite.config.ts` writes `dist/worklist`, served under `/worklist/`. */
export default defineConfig({
  root: fileURLToPath(new URL('./src/steps/worklist/page', import.meta.url)),
  base: '/worklist/',
  clearScreen: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('./dist/worklist', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // The Content-Security-Policy allows no inline script and no data: URL, so nothing may be put into the page itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
