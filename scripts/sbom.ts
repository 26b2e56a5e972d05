import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';

/** One entry of `packages` in package-lock.json, version 3. */
interface Locked {
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

interface Component {
  readonly type: 'application' | 'library' | 'machine-learning-model';
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly scope?: 'required' | 'optional' | 'excluded';
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly object[];
  readonly purl?: string;
  readonly externalReferences?: readonly { readonly type: string; readonly url: string }[];
}

export interface Sbom {
  readonly $schema: string;
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: number;
  readonly metadata: {
    readonly timestamp: string;
    readonly component: Component;
    readonly [more: string]: unknown;
  };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/**
 * The software bill of materials of the project in `folder` (CycloneDX 1.6, JSON): every package that package-lock.json installs, with the digest it is
 * held against, and the models that come along. Packages that only build and test have the scope `excluded`. The same lock file gives the same serial number.
 */
export function makeSbom(folder: string, now: Date): Sbom {
  const text = readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const packages = (JSON.parse(text) as { packages: Readonly<Record<string, Locked>> }).packages;
  const { '': root = {}, ...others } = packages;
  const own = componentOf('', root, 'application');
  const components = new Map<string, Component>();
  for (const [path, locked] of Object.entries(others)) {
    if (locked.link || locked.version === undefined) continue;
    const component = componentOf(path, locked, 'library');
    const known = components.get(component['bom-ref']);
    // Of the same version at two places the one that is more needed counts.
    if (!known || rank(component) < rank(known)) components.set(component['bom-ref'], component);
  }
  const models = modelsIn(join(folder, 'models'));
  const all = [...components.values(), ...models];
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(text)}`,
    version: 1,
    metadata: {
      timestamp: now.toISOString(),
      lifecycles: [{ phase: 'build' }],
      tools: { components: [{ type: 'application', name: 'prelim-sbom', version: own.version }] },
      component: own,
    },
    components: all.sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1)),
    dependencies: dependenciesOf(packages, own, models),
  };
}

const SCOPES = ['required', 'optional', 'excluded'];
const rank = ({ scope }: Component): number => SCOPES.indexOf(scope ?? 'required');

function componentOf(path: string, locked: Locked, type: Component['type']): Component {
  const whole = locked.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const version = locked.version ?? '0.0.0';
  const [group, name] = whole.startsWith('@') ? (whole.split('/') as [string, string]) : ['', whole];
  const purl = `pkg:npm/${group === '' ? '' : `${encodeURIComponent(group)}/`}${name}@${encodeURIComponent(version)}`;
  const hashes = (locked.integrity ?? '').split(' ').flatMap(hashOf);
  const isRemote = /^https?:/.test(locked.resolved ?? '');
  return {
    type,
    'bom-ref': purl,
    ...(group === '' ? {} : { group }),
    name,
    version,
    ...(type === 'library'
      ? { scope: locked.dev ? 'excluded' : locked.optional ? 'optional' : 'required' }
      : {}),
    ...(hashes.length > 0 ? { hashes } : {}),
    ...(locked.license ? { licenses: [licenceOf(locked.license)] } : {}),
    purl,
    ...(isRemote ? { externalReferences: [{ type: 'distribution', url: String(locked.resolved) }] } : {}),
  };
}

/** Subresource Integrity (`sha512-<base64>`) as CycloneDX writes digests. */
function hashOf(integrity: string): { alg: string; content: string }[] {
  const [, bits, base64 = ''] = /^sha(1|256|384|512)-([A-Za-z0-9+/=]+)$/.exec(integrity) ?? [];
  return bits ? [{ alg: `SHA-${bits}`, content: Buffer.from(base64, 'base64').toString('hex') }] : [];
}

/** SPDX expressions are expressions; words such as "SEE LICENSE IN …" are names. */
const licenceOf = (licence: string): object =>
  /^[\w.+()-]+( (AND|OR|WITH) [\w.+()-]+)*$/.test(licence)
    ? { expression: licence }
    : { license: { name: licence } };

/** Models that lie in the repository; their manifests have the digest of the file. */
function modelsIn(folder: string): Component[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((model) =>
      readdirSync(join(folder, model.name)).flatMap((version) => {
        const manifest = join(folder, model.name, version, 'manifest.yaml');
        if (!existsSync(manifest)) return [];
        const { file } = parse(readFileSync(manifest, 'utf8')) as {
          file?: { sha256?: string; licence?: string };
        };
        return {
          type: 'machine-learning-model' as const,
          'bom-ref': `model:${model.name}@${version}`,
          name: model.name,
          version,
          ...(file?.sha256 ? { hashes: [{ alg: 'SHA-256', content: file.sha256 }] } : {}),
          ...(file?.licence ? { licenses: [licenceOf(file.licence)] } : {}),
        };
      }),
    );
}

function dependenciesOf(
  packages: Readonly<Record<string, Locked>>,
  own: Component,
  models: readonly Component[],
) {
  const byRef = new Map<string, Set<string>>();
  for (const [path, locked] of Object.entries(packages)) {
    if (locked.link || (path !== '' && locked.version === undefined)) continue;
    const ref = path === '' ? own['bom-ref'] : componentOf(path, locked, 'library')['bom-ref'];
    const on = byRef.get(ref) ?? new Set<string>();
    byRef.set(ref, on);
    const names = Object.keys({
      ...locked.dependencies,
      ...locked.optionalDependencies,
      ...locked.devDependencies,
    });
    for (const name of names) {
      const at = foundFrom(packages, path, name);
      const target = at === null ? undefined : packages[at];
      if (at !== null && target?.version) on.add(componentOf(at, target, 'library')['bom-ref']);
    }
  }
  for (const model of models) {
    byRef.get(own['bom-ref'])?.add(model['bom-ref']);
    byRef.set(model['bom-ref'], new Set());
  }
  return [...byRef].map(([ref, on]) => ({ ref, dependsOn: [...on].sort() }));
}

/** Where Node finds a package that is asked for at `path`: the nearest `node_modules` upwards. */
function foundFrom(packages: Readonly<Record<string, Locked>>, path: string, name: string): string | null {
  for (let at: string | null = path; at !== null; at = above(at)) {
    const candidate = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (packages[candidate]) return candidate;
  }
  return null;
}

/** The package that `path` lies in; null above the project itself. */
function above(path: string): string | null {
  if (path === '') return null;
  const cut = path.lastIndexOf('/node_modules/');
  return cut < 0 ? '' : path.slice(0, cut);
}

/** A UUID (RFC 9562, version 8) out of what is described. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href)
  process.stdout.write(`${JSON.stringify(makeSbom(process.cwd(), new Date()), null, 2)}\n`);
