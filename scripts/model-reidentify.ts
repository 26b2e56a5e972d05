import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readSettings } from '../src/config/settings.ts';
import { originalsOf, restoreIdentity } from '../src/dicom/deidentify-restore.ts';
import type { DicomDataset } from '../src/dicom/dicom-dataset.ts';
import { readInstanceHead } from '../src/dicom/read-instance-head.ts';
import type { Part10 } from '../src/dicom/read-part10.ts';
import { isUid } from '../src/dicom/uid.ts';
import { verdictText } from '../src/governance/analysis-task.ts';
import { deidentificationKeysIn } from '../src/governance/deidentification-key.ts';
import { Failure } from '../src/kernel/errors.ts';
import { filesBelow, overlap, readDicomFile } from './dicom-folder.ts';

/**
 * `-- reidentify <result folder> <dicom folder> <out folder>`: DICOM results that were made of de-identified images (SR, SEG, pictures) get the
 * UIDs, the patient and the study of the originals in `<dicom folder>` again, each as `<out>/<instance>.dcm`. What belongs to none of them is
 * printed with its number in the sorted list and the reason. Ends with 1 when a file was left out.
 */
export async function reidentifyFolder(args: string[]): Promise<number> {
  const [results, folder, out] = parseArgs({ args, allowPositionals: true }).positionals;
  if (results === undefined || folder === undefined || out === undefined || overlap(results, out)) {
    console.error('name a folder with results, one with their original images, and another to write to');
    return 2;
  }
  const [paths, originals] = [await filesBelow(results), await filesBelow(folder)];
  if (paths === null || originals === null) {
    console.error('there is no such folder');
    return 2;
  }
  const { all } = await deidentificationKeysIn(readSettings().PRELIM_DATA);
  const known = originalsOf(await headsOf(originals), all);
  const read = await Promise.all(paths.map(readOrReason));
  const own = new Set(
    read.flatMap((file) => (typeof file === 'string' ? [] : [file.dataset.string(SOP_INSTANCE) ?? ''])),
  );
  await mkdir(out, { recursive: true });
  let written = 0;
  for (const [i, file] of read.entries()) {
    const made = typeof file === 'string' ? null : restoreIdentity(file, known, own);
    const reason = made === null ? String(file) : made.kind === 'refused' ? verdictText(made.verdict) : null;
    if (made?.kind === 'restored' && isUid(made.sopInstanceUid)) {
      const target = join(out, `${made.sopInstanceUid}.dcm`);
      await writeFile(`${target}.partial`, made.file);
      await rename(`${target}.partial`, target);
      written += 1;
    } else console.log(`file ${i + 1}: ${reason ?? 'no SOPInstanceUID'}`);
  }
  console.log(`${read.length} files: ${written} belong to the originals, ${read.length - written} left out`);
  return written === read.length && written > 0 ? 0 : 1;
}

const SOP_INSTANCE = 0x00080018;

/** Files that are no DICOM lie beside images often; they are no originals. */
async function headsOf(paths: readonly string[]): Promise<DicomDataset[]> {
  const heads: DicomDataset[] = [];
  for (const path of paths) {
    const head = await readInstanceHead(path).catch((error: unknown) => {
      if (error instanceof Failure) return null;
      throw error;
    });
    if (head !== null) heads.push(head.dataset);
  }
  return heads;
}

async function readOrReason(path: string): Promise<Part10 | string> {
  try {
    return await readDicomFile(path);
  } catch (error) {
    if (error instanceof Failure) return `${error.code}: ${error.message}`;
    throw error;
  }
}
