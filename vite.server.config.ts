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
  plugins: [placesStay(), lateStaysLate(), plainLetters()],
  // These look for files beside themselves.
  ssr: { noExternal: true, external: ['pino', 'bull', 'ioredis'] },
  build: {
    ssr: true,
    target: 'node24',
    outDir,
    emptyOutDir: true,
    minify: false,
    rolldownOptions: {
      // What the benchmarks start is the server as it is run, memory and all.
      input: [join(compiled, 'main.js'), join(compiled, '..', 'test', 'bench', 'bench-server.js')],
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

/** A file of nothing but ASCII is kept by Node in one byte per letter, any other of this size in two: eight megabytes of every server. An escape means the same in texts, patterns and names. */
function plainLetters(): Plugin {
  return {
    name: 'plain-letters',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle))
        if (chunk.type === 'chunk')
          chunk.code = chunk.code.replace(/(\\*)([^\0-\x7f])/g, (_, before: string, letter: string) => {
            // A letter that was escaped already is itself.
            const kept = before.length % 2 === 0 ? before : before.slice(1);
            return `${kept}\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
          });
    },
  };
}
