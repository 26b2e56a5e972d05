import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import type { FailureIssue } from '../../kernel/errors.ts';
import { checkProtocol } from './check-protocol.ts';
import type { ImagingProtocol } from './protocol.ts';

/** A protocol is some kB; more is none. */
export const PROTOCOL_BYTES_MAX = 256 * 1024;
/** An alias is only shorthand; more than a few are an attempt to make the parser grow without end. */
const YAML_ALIASES_MAX = 20;

export interface ReadProtocols {
  readonly protocols: readonly ImagingProtocol[];
  readonly refused: readonly { readonly file: string; readonly faults: readonly FailureIssue[] }[];
}

/** Every `*.yaml` and `*.yml` of the folders (not below them). One bad file is refused with all its faults; the others count. */
export async function readProtocols(folders: readonly string[]): Promise<ReadProtocols> {
  const protocols: ImagingProtocol[] = [];
  const refused: { file: string; faults: readonly FailureIssue[] }[] = [];
  for (const folder of folders) {
    const names = await readdir(folder).catch(() => null);
    if (names === null) refused.push({ file: folder, faults: [{ text: 'there is no such folder' }] });
    for (const name of (names ?? []).filter((one) => /\.ya?ml$/.test(one)).sort()) {
      const file = join(folder, name);
      const { protocol, faults } = await readOne(file);
      const twice = protocol !== null && protocols.some(({ id }) => id === protocol.id);
      if (protocol !== null && !twice) protocols.push(protocol);
      else
        refused.push({
          file,
          faults: twice ? [{ at: '/id', text: 'another file has the same id' }] : faults,
        });
    }
  }
  return { protocols, refused };
}

async function readOne(file: string): Promise<Checked> {
  // A folder of this name, a link that leads nowhere, a file that is not ours to read.
  const about = await stat(file).catch(() => null);
  if (!about?.isFile()) return fault('is no file');
  if (about.size > PROTOCOL_BYTES_MAX) return fault('is larger than 256 KiB');
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return fault('cannot be read: correct its rights');
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) return fault('is not valid YAML');
  try {
    return checkProtocol(document.toJS({ maxAliasCount: YAML_ALIASES_MAX }));
  } catch {
    return fault('uses too many YAML aliases');
  }
}

type Checked = ReturnType<typeof checkProtocol>;
const fault = (text: string): Checked => ({ protocol: null, faults: [{ text }] });
