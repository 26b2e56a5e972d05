import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** Builds the operator's page: `vite build -c vite.operator.config.ts` writes `dist/operator`, served under `/operator/`. */
export default defineConfig({
  root: fileURLToPath(new URL('./src/steps/message-log/page', import.meta.url)),
  base: '/operator/',
  clearScreen: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('./dist/operator', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // The Content-Security-Policy allows no inline script and no data: URL, so nothing may be put into the page itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
