import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readSettings } from '../src/config/settings.ts';
import { deidentify } from '../src/dicom/deidentify.ts';
import {
  DEIDENTIFY_OPTIONS,
  type DeidentifyOption,
  isDeidentifyOption,
} from '../src/dicom/deidentify-options.ts';
import type { Pseudonyms } from '../src/dicom/deidentify-pseudonyms.ts';
import { verdictText } from '../src/governance/analysis-task.ts';
import { addDeidentificationKey, deidentificationKeysIn } from '../src/governance/deidentification-key.ts';
import { Failure } from '../src/kernel/errors.ts';
import { filesBelow, overlap, readDicomFile } from './dicom-folder.ts';

/**
 * `-- deidentify <dicom folder> <out folder> [--option <name>]... [--new-key]`: the folder's images by PS3.15 Annex E, each as
 * `<study>/<series>/<instance>.dcm` with the new UIDs. What is refused is printed with its number in the sorted list of files and the reason:
 * never with its name, for file names are often those of patients. Ends with 1 when a file was left out.
 */
export async function deidentifyFolder(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { option: { type: 'string', multiple: true }, 'new-key': { type: 'boolean' } },
    allowPositionals: true,
  });
  const [folder, out] = positionals;
  const options = (values.option ?? []).filter(isDeidentifyOption);
  const fault = usageFault(folder, out, values.option ?? []);
  const files = folder === undefined || fault !== null ? null : await filesBelow(folder);
  if (folder === undefined || out === undefined || files === null) {
    console.error(fault ?? 'there is no such folder');
    return 2;
  }
  const { PRELIM_DATA } = readSettings();
  if (values['new-key']) await addDeidentificationKey(PRELIM_DATA);
  const { newest } = await deidentificationKeysIn(PRELIM_DATA);
  const written = new Set<string>();
  let left = 0;
  for (const [i, path] of files.entries()) {
    const reason = await deidentifyFile(path, out, { pseudonyms: newest, options, written });
    if (reason === null) continue;
    left += 1;
    console.log(`file ${i + 1}: ${reason}`);
  }
  console.log(`${files.length} files: ${written.size} de-identified, ${left} left out`);
  return left === 0 && written.size > 0 ? 0 : 1;
}

function usageFault(
  folder: string | undefined,
  out: string | undefined,
  names: readonly string[],
): string | null {
  if (folder === undefined || out === undefined)
    return 'name a folder with DICOM files and a folder to write to';
  if (overlap(folder, out)) return 'the two folders lie one in the other: name another to write to';
  if (names.every(isDeidentifyOption)) return null;
  return `there is no such option; there are ${Object.keys(DEIDENTIFY_OPTIONS).join(', ')}`;
}

interface How {
  readonly pseudonyms: Pseudonyms;
  readonly options: readonly DeidentifyOption[];
  readonly written: Set<string>;
}

/** null, or why the file was left out. */
async function deidentifyFile(path: string, out: string, { written, ...how }: How): Promise<string | null> {
  try {
    const made = deidentify(await readDicomFile(path), how);
    if (made.kind === 'refused') return verdictText(made.verdict);
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = made;
    if (written.has(sopInstanceUid)) return 'a second file of one SOPInstanceUID';
    const target = join(out, studyInstanceUid, seriesInstanceUid);
    await mkdir(target, { recursive: true });
    const file = join(target, `${sopInstanceUid}.dcm`);
    await writeFile(`${file}.partial`, made.file);
    await rename(`${file}.partial`, file);
    written.add(sopInstanceUid);
    return null;
  } catch (error) {
    if (error instanceof Failure) return `${error.code}: ${error.message}`;
    throw error;
  }
}
