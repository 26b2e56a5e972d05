import { join, relative, sep } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** What `tsc` made, and where the server stands as few files. */
const compiled = join(import.meta.dirname, 'dist', 'src');
const outDir = join(import.meta.dirname, 'dist', 'server');

/**
 * The server in few files. Half of the time of a start goes into finding, reading and linking 2,500 modules, most of them of packages; as one they
 * are read at once, and the compile cache keeps them compiled. `docs/decisions/server-in-few-files.md`.
 */
export default defineConfig({
  clearScreen: false,
  plugins: [placesStay(), lateStaysLate()],
  // These look for files beside themselves.
  ssr: { noExternal: true, external: ['pino', 'bull', 'ioredis'] },
  build: {
    ssr: join(compiled, 'main.js'),
    target: 'node24',
    outDir,
    emptyOutDir: true,
    minify: false,
    rolldownOptions: {
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        // Nest and TypeORM call providers and entities by the names of their classes.
        keepNames: true,
      },
    },
  },
});

/** The address of a module goes on to be its own: workers and pages are found from there. */
function placesStay(): Plugin {
  return {
    name: 'places-stay',
    transform(code, id) {
      if (!id.startsWith(compiled) || !code.includes('import.meta.url')) return null;
      const place = JSON.stringify(relative(outDir, id).split(sep).join('/'));
      return code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`);
    },
  };
}

/** A package that is loaded when it is first needed, and not before, stays where it is. */
function lateStaysLate(): Plugin {
  return {
    name: 'late-stays-late',
    resolveId(id, _importer, { kind }) {
      return kind === 'dynamic-import' && /^[a-z@]/.test(id) ? { id, external: true } : null;
    },
  };
}
