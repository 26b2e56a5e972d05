import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { ErrorObject } from 'ajv';
import { parseDocument } from 'yaml';
import schema from '../../../ris-profiles/ris-destinations-1.schema.json' with { type: 'json' };
import { readTlsFiles, type TlsFiles } from '../../config/read-tls-files.ts';
import { checkBySchema } from '../../kernel/check-by-schema.ts';
import { Failure, type FailureIssue } from '../../kernel/errors.ts';
import { READY_PROFILES, readRisProfile } from './ris-profile.ts';

/** One entry of the file of `RIS_DESTINATIONS`, read and checked. */
export interface DestinationEntry {
  readonly name: string;
  readonly url: URL;
  readonly ackTimeoutMs: number | null;
  readonly tls: TlsFiles | null;
  /** Where the TLS files lie, as `readTlsFiles` takes them. */
  readonly tlsPlaces: Readonly<Record<string, string>>;
  readonly profileName: string;
  /** As a person wrote it; `readRisProfile` takes it. */
  readonly profile: unknown;
  readonly filter: DestinationFilter;
}

/** Which reports a receiver gets: those that have one of each list. */
export interface DestinationFilter {
  readonly modality?: readonly string[];
  readonly performer?: readonly string[];
  readonly orderFrom?: readonly string[];
}

/** A site has a handful of receivers; more than this is no such file. */
export const DESTINATION_FILE_BYTES_MAX = 1024 * 1024;

/** Reads the file (JSON or YAML), its profiles and TLS files. Throws one `ris.destinations` that names every fault. */
export function readDestinationFile(
  path: string,
  base: Readonly<Record<string, unknown>>,
): DestinationEntry[] {
  const value = parsed(path);
  const errors = check(value);
  if (errors.length > 0) throw refused(errors.map(toFault));
  const { destinations } = value as unknown as { destinations: readonly GivenEntry[] };
  const issues: FailureIssue[] = [];
  const entries = destinations.map((given, n) => {
    const at = `destinations/${n}`;
    if (destinations.findIndex((one) => one.name === given.name) !== n)
      issues.push({ at: `${at}/name`, text: 'is the name of another one too' });
    return toEntry(given, { folder: dirname(resolve(path)), at, base, issues });
  });
  if (issues.length > 0) throw refused(issues);
  return entries;
}

interface GivenEntry {
  readonly name: string;
  readonly url: string;
  readonly ackTimeoutMs?: number;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly profile?: unknown;
  readonly filter?: DestinationFilter;
}

interface Context {
  readonly folder: string;
  readonly at: string;
  readonly base: Readonly<Record<string, unknown>>;
  readonly issues: FailureIssue[];
}

function toEntry(given: GivenEntry, { folder, at, base, issues }: Context): DestinationEntry {
  const collect = <T>(part: string, read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const own = error.issues.map((issue) => ({ ...issue, at: `${at}/${part}/${issue.at ?? ''}` }));
      issues.push(...(own.length > 0 ? own : [{ at: `${at}/${part}`, text: error.message }]));
      return null;
    }
  };
  const { ca = '', cert = '', key = '' } = given.tls ?? {};
  const place = (file: string) => (file === '' ? '' : resolve(folder, file));
  const tlsPlaces = { _TLS_CA: place(ca), _TLS_CERT: place(cert), _TLS_KEY: place(key) };
  const tls = collect('tls', () => readTlsFiles(tlsPlaces));
  if (tls !== null && !given.url.startsWith('mllps:'))
    issues.push({
      at: `${at}/url`,
      text: 'must begin with mllps:// when tls is given: else results travel in the clear',
    });
  const { name: profileName, value: profile } = profileOf(given, folder, at, issues);
  collect('profile', () => readRisProfile(profile, base));
  return {
    name: given.name,
    url: new URL(given.url),
    ackTimeoutMs: given.ackTimeoutMs ?? null,
    tls,
    tlsPlaces,
    profileName,
    profile,
    filter: given.filter ?? {},
  };
}

/** A ready profile by its name, a file by its path, or the profile itself under the name of its destination. */
function profileOf(
  { name, profile }: GivenEntry,
  folder: string,
  at: string,
  issues: FailureIssue[],
): { name: string; value: unknown } {
  if (typeof profile !== 'string') return { name, value: profile ?? {} };
  if (READY_PROFILES[profile] !== undefined) return { name: profile, value: READY_PROFILES[profile] };
  const file = resolve(folder, profile);
  try {
    return { name: basename(file).replace(/\.(json|ya?ml)$/, ''), value: parsed(file) };
  } catch {
    const ready = Object.keys(READY_PROFILES).join(', ');
    issues.push({
      at: `${at}/profile`,
      text: `names no ready profile (${ready}) and no file that can be read as JSON or YAML`,
    });
    return { name, value: {} };
  }
}

function parsed(path: string): unknown {
  try {
    if (statSync(path).size > DESTINATION_FILE_BYTES_MAX) throw new Error('too large');
    const document = parseDocument(readFileSync(path, 'utf8'), { uniqueKeys: true });
    if (document.errors.length > 0) throw new Error('no YAML');
    return document.toJS({ maxAliasCount: 20 });
  } catch {
    throw refused([
      { at: 'RIS_DESTINATIONS', text: 'must name a readable file with JSON or YAML, 1 MiB at most' },
    ]);
  }
}

const check = checkBySchema(schema, { strict: false });

function toFault({ instancePath, keyword, params, message }: ErrorObject): FailureIssue {
  const at = instancePath.slice(1) || 'the file';
  if (keyword === 'additionalProperties')
    return { at, text: `the field "${params['additionalProperty']}" is not known` };
  if (keyword === 'required') return { at, text: `the field "${params['missingProperty']}" is missing` };
  return { at, text: message ?? keyword };
}

function refused(issues: readonly FailureIssue[]): Failure {
  const lines = issues.map((issue) => `${issue.at} ${issue.text}`).join('; ');
  return new Failure(
    'ris.destinations',
    `The file of RIS_DESTINATIONS has ${issues.length} fault(s): ${lines}.`,
    {
      issues,
    },
  );
}
