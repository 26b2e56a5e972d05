import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Usual is 150, think at 300. */
const FILE_LINES_MAX = 400;
/** Usual is 25. */
const FUNCTION_LINES_MAX = 70;
const CONSTRUCTOR_DEPENDENCIES_MAX = 8;

/** What each folder of `src` may import, besides itself. Types count. */
const LOWEST = ['kernel', 'config', 'database', 'queue'];
const BELOW_STEPS = [
  'governance',
  'subscriptions',
  'terminology',
  'access',
  'fhir',
  'archive',
  'dicom',
  'dicomweb',
  'hl7',
  'http',
  ...LOWEST,
];
const MAY_IMPORT: Record<string, readonly string[]> = {
  kernel: [],
  config: ['kernel'],
  database: ['config', 'kernel'],
  queue: ['database', 'config', 'kernel'],
  dicom: ['config', 'kernel'],
  hl7: ['config', 'kernel'],
  dicomweb: ['dicom', 'config', 'kernel'],
  archive: ['dicom', 'database', 'config', 'kernel'],
  fhir: LOWEST,
  http: ['config', 'kernel'],
  subscriptions: ['fhir', ...LOWEST],
  terminology: ['fhir', ...LOWEST],
  access: ['fhir', ...LOWEST],
  governance: ['subscriptions', 'terminology', 'access', 'fhir', 'dicom', ...LOWEST],
  steps: BELOW_STEPS,
  flow: ['steps', 'governance', 'subscriptions', 'queue', 'kernel'],
};

/** Files whose length is their nature: tables and generated lists, and coding passes that hold the arithmetic decoder in their own variables. */
const EXEMPT_FROM_LENGTH: readonly RegExp[] = [/dictionary-table\.ts$/, /assembly\/_\w+-pass\.ts$/];

const root = resolve(import.meta.dirname, '..');
const files = listFiles(join(root, 'src')).filter((file) => /\.tsx?$/.test(file));

describe('the house is in order', () => {
  it('imports go down, never round: every folder imports only what the table allows', () => {
    const wrong: string[] = [];
    for (const { from, to } of imports()) {
      const [fromFolder, toFolder] = [folderOf(from), folderOf(to)];
      if (fromFolder === null || fromFolder === toFolder || toFolder === null) continue;
      if (!MAY_IMPORT[fromFolder]?.includes(toFolder)) wrong.push(`${short(from)} imports ${short(to)}`);
    }
    expect(wrong).toEqual([]);
  });

  it('no step imports another step', () => {
    const wrong = imports().filter(
      ({ from, to }) => stepOf(from) && stepOf(to) && stepOf(from) !== stepOf(to),
    );
    expect(wrong.map(({ from, to }) => `${short(from)} imports ${short(to)}`)).toEqual([]);
  });

  it('a folder is entered by its top files: subfolders are private', () => {
    const wrong = imports().filter(({ from, to }) => !isReachable(from, to));
    expect(wrong.map(({ from, to }) => `${short(from)} imports ${short(to)}`)).toEqual([]);
  });

  it('what runs in the browser has its own words and its own step, and nothing of it runs in the server', () => {
    const wrong = allImports().filter(({ from, to }) =>
      runsInBrowser(from)
        ? !runsInBrowser(to) && (stepOf(from) === null || dirname(to) !== roomOf(from))
        : runsInBrowser(to),
    );
    expect(wrong.map(({ from, to }) => `${short(from)} imports ${short(to)}`)).toEqual([]);
    const pages = allImports().filter(({ from, to }) => runsInBrowser(from) && stepOf(to) !== null);
    expect(pages.filter(({ from, to }) => stepOf(from) !== stepOf(to))).toEqual([]);
  });

  it('there is no cycle of imports', () => {
    expect(findCycle()).toEqual([]);
  });

  it('there are no barrels and no rooms for leftovers', () => {
    const wrong = files.filter(
      (file) =>
        /(^|\/)index\.tsx?$/.test(file) || /(utils?|helpers?|common|manager)(\.|\/)/i.test(short(file)),
    );
    expect(wrong.map(short)).toEqual([]);
  });

  it('files and functions stay small', () => {
    const wrong: string[] = [];
    for (const file of files.filter((file) => !EXEMPT_FROM_LENGTH.some((pattern) => pattern.test(file)))) {
      const lines = readFileSync(file, 'utf8').split('\n');
      if (lines.length - 1 > FILE_LINES_MAX && !file.endsWith('.spec.ts'))
        wrong.push(`${short(file)}: ${lines.length - 1} lines`);
      if (!/\.spec\.tsx?$/.test(file)) {
        for (const { name, length } of functionsOf(lines)) {
          if (length > FUNCTION_LINES_MAX) wrong.push(`${short(file)}: ${name} has ${length} lines`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('constructors have few dependencies', () => {
    const wrong = files.filter(
      (file) => constructorDependencies(readFileSync(file, 'utf8')) > CONSTRUCTOR_DEPENDENCIES_MAX,
    );
    expect(wrong.map(short)).toEqual([]);
  });

  it('what is exported is used elsewhere: functions and classes', () => {
    const wrong = files
      .filter((file) => !file.includes('/assembly/'))
      .flatMap((file) =>
        exportsOf(readFileSync(file, 'utf8'))
          .filter((name) => !isNamedOutside(name, file))
          .map((name) => `${short(file)} exports ${name}`),
      );
    expect(wrong).toEqual([]);
  });

  it('docs/architecture.md names every folder of `src`, every step and every decision', () => {
    const page = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8');
    const missing = [
      ...foldersIn('src').map((name) => `─ ${name}/ `),
      ...foldersIn('src/steps').map((name) => `─ ${name}/ `),
      ...readdirSync(join(root, 'docs', 'decisions')).map((name) => `(decisions/${name})`),
    ].filter((words) => !page.includes(words));
    expect(missing).toEqual([]);
  });

  it('the environment is read in config and nowhere else', () => {
    const wrong = files.filter(
      (file) =>
        folderOf(file) !== 'config' &&
        !file.endsWith('.spec.ts') &&
        /process\.env(?!\['PATH'\])/.test(readFileSync(file, 'utf8')),
    );
    expect(wrong.map(short)).toEqual([]);
  });

  it('hl7-standard stays behind the codec, Bull behind the queue, dicomweb-client behind dicomweb', () => {
    const owners: Record<string, RegExp> = {
      'hl7-standard': /^src\/hl7\/codec\//,
      bull: /^src\/queue\//,
      'dicomweb-client': /^src\/dicomweb\//,
    };
    const wrong = files.flatMap((file) =>
      Object.entries(owners)
        .filter(
          ([name, owner]) =>
            !owner.test(short(file)) && new RegExp(`from '${name}'`).test(readFileSync(file, 'utf8')),
        )
        .map(([name]) => `${short(file)} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

interface Import {
  readonly from: string;
  readonly to: string;
}

let foundImports: Import[] | null = null;

/** All that runs in the server. */
const imports = (): Import[] => allImports().filter(({ from }) => !runsInBrowser(from));

function allImports(): Import[] {
  foundImports ??= files
    .filter((file) => !file.endsWith('.spec.ts'))
    .flatMap((from) =>
      [...readFileSync(from, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(
        (match) => ({
          from,
          to: resolve(dirname(from), match[1] as string),
        }),
      ),
    );
  return foundImports;
}

/** `src/browser`, what the pages share, and the folder `page` of a step. */
const runsInBrowser = (file: string): boolean =>
  folderOf(file) === 'browser' || (stepOf(file) !== null && file.includes('/page/'));

/** Folder of `src` a file lies in; null for files at its root and outside. */
function folderOf(file: string): string | null {
  const parts = relative(join(root, 'src'), file).split('/');
  return parts.length > 1 && parts[0] !== '..' ? (parts[0] as string) : null;
}

function stepOf(file: string): string | null {
  const parts = relative(join(root, 'src', 'steps'), file).split('/');
  return parts.length > 1 && parts[0] !== '..' ? (parts[0] as string) : null;
}

/** The public top of a file's room: `src/<folder>`, for steps `src/steps/<step>`. */
function roomOf(file: string): string {
  const step = stepOf(file);
  return step ? join(root, 'src', 'steps', step) : join(root, 'src', folderOf(file) ?? '');
}

function isReachable(from: string, to: string): boolean {
  if (folderOf(from) === null || folderOf(to) === null) return true;
  return dirname(to) === roomOf(to) || from.startsWith(`${roomOf(to)}/`);
}

function findCycle(): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports()) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const target of next.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of files) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle.map(short);
  }
  return [];
}

/** Functions and methods by their first line and the line that closes at the same depth of indentation. */
function functionsOf(lines: readonly string[]): { name: string; length: number }[] {
  const found: { name: string; length: number }[] = [];
  lines.forEach((line, start) => {
    const match =
      /^(\s*)(?:export )?(?:default )?(?:private |protected |public |static |override |async )*(?:function\*? ?(\w+)|(\w+)\s*(?:<[^>]*>)?\([^)]*\)?[^;=]*\{$)/.exec(
        line,
      );
    if (!match || /^\s*(if|for|while|switch|catch|return|else)\b/.test(line)) return;
    const end = lines.findIndex(
      (other, at) => at > start && other.startsWith(`${match[1]}}`) && !other.startsWith(`${match[1]}})`),
    );
    if (end > 0) found.push({ name: match[2] ?? match[3] ?? '', length: end - start + 1 });
  });
  return found;
}

const exportsOf = (text: string): string[] =>
  [...text.matchAll(/^export (?:abstract )?(?:async )?(?:class|function\*?|const(?= [a-z])) (\w+)/gm)].map(
    (match) => match[1] as string,
  );

/** What has code that may import from `src`. */
const IMPORTERS = ['src', 'test', 'scripts', 'demo', 'models', 'migrations'];
/** A task of a worker is named by a string. */
const NAMED = /\b(?:import|export)\b[^'"]*?\{([^}]*)\}\s*from|import\('[^']+'\)\)\.(\w+)|'(\w+)'/g;
let filesNaming: Map<string, Set<string>> | null = null;

/** Does another file import it, or call it by a string with its name? */
function isNamedOutside(name: string, file: string): boolean {
  filesNaming ??= namesByFile();
  const naming = filesNaming.get(name) ?? new Set();
  return naming.size > (naming.has(file) ? 1 : 0);
}

function namesByFile(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const sources = IMPORTERS.flatMap((folder) => listFiles(join(root, folder)));
  for (const file of sources.filter((one) => /\.tsx?$/.test(one))) {
    for (const [, ...names] of readFileSync(file, 'utf8').matchAll(NAMED)) {
      for (const name of names.join().split(',')) {
        const own = name
          .trim()
          .replace(/^type /, '')
          .split(' as ')[0] as string;
        found.set(own, (found.get(own) ?? new Set()).add(file));
      }
    }
  }
  return found;
}

function constructorDependencies(text: string): number {
  const body = /constructor\(([\s\S]*?)\)\s*\{/.exec(text)?.[1] ?? '';
  return (body.match(/\b(private|protected|public|readonly)\b[^,]*/g) ?? []).length;
}

const foldersIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(path) : [path];
  });
}

const short = (file: string) => relative(root, file);
