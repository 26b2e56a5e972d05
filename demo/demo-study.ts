import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { phantomFile } from '../models/phantom/phantom-file.ts';
import { type PhantomOptions, phantomSeries, WRONG_STUDIES } from '../models/phantom/make-phantom.ts';
import { phantomUid } from '../models/phantom/phantom-uid.ts';
import { readInstanceHead } from '../src/dicom/read-instance-head.ts';
import type { OrderedExam } from './order-message.ts';

/** A study to be sent through the demo: who and what, and its files one after the other. */
export interface DemoStudy {
  readonly label: string;
  readonly exam: OrderedExam;
  readonly instances: number;
  files(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface UnreadFile {
  readonly path: string;
  readonly why: string;
}

/** Two phantoms: a chest that fits the reference model, and a head that does not. Each run of the demo makes studies of its own. */
export function phantomStudies(run: string): DemoStudy[] {
  return [
    phantom(run, 'Phantom chest CT, 120 slices', { seed: 7, emphysemaFraction: 0.12 }, '24627-2^CT Chest^LN'),
    phantom(run, 'Phantom head CT, 32 slices', { ...WRONG_STUDIES.head, seed: 8 }, '24725-4^CT Head^LN'),
  ];
}

function phantom(run: string, label: string, options: Partial<PhantomOptions>, procedure: string): DemoStudy {
  const uids = { studyInstanceUid: phantomUid(`demo ${run} ${label}`), seriesInstanceUid: phantomUid(`demo series ${run} ${label}`) };
  const accessionNumber = `${run}${options.seed}`;
  const series = phantomSeries({ ...options, identity: { ...options.identity, ...uids, accessionNumber, ...today() } });
  const { identity } = series;
  return {
    label,
    instances: series.options.slices,
    exam: {
      accession: accessionNumber,
      studyInstanceUid: identity.studyInstanceUid,
      patientId: identity.patientId,
      patientIdIssuer: identity.issuerOfPatientId,
      patientName: identity.patientName,
      birthDate: identity.birthDate,
      sex: identity.sex,
      modality: 'CT',
      procedure,
    },
    *files() {
      for (const slice of series.slices()) yield phantomFile(slice.attributes, slice.stored);
    },
  };
}

function today(): { studyDate: string; studyTime: string } {
  const [date = '', time = ''] = new Date().toISOString().split('T');
  return { studyDate: date.replaceAll('-', ''), studyTime: time.slice(0, 8).replaceAll(':', '') };
}

/** The studies in a folder of DICOM files, and the files that are none. */
export async function studiesIn(folder: string): Promise<{ studies: DemoStudy[]; unread: UnreadFile[] }> {
  const found = new Map<string, { exam: OrderedExam; label: string; paths: Map<string, string> }>();
  const unread: UnreadFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    try {
      const { dataset } = await readInstanceHead(path);
      const text = (tag: number) => dataset.string(tag) ?? '';
      const uid = text(0x0020000d);
      const study = found.get(uid) ?? { exam: examOf(text), label: entry.name, paths: new Map() };
      const sop = text(0x00080018);
      if (study.paths.has(sop)) unread.push({ path, why: 'its SOP Instance UID is that of another file in the folder' });
      else study.paths.set(sop, path);
      if (uid !== '') found.set(uid, study);
    } catch (error) {
      unread.push({ path, why: (error as Error).message });
    }
  }
  const studies = [...found.values()].map(({ exam, label, paths }) => ({
    label: paths.size === 1 ? label : `${label} and ${paths.size - 1} more`,
    exam,
    instances: paths.size,
    async *files() {
      for (const path of paths.values()) yield await readFile(path);
    },
  }));
  return { studies, unread };
}

function examOf(text: (tag: number) => string): OrderedExam {
  const description = text(0x00081030) || text(0x0008103e) || 'Imaging study';
  return {
    accession: text(0x00080050),
    studyInstanceUid: text(0x0020000d),
    patientId: text(0x00100020),
    patientIdIssuer: text(0x00100021),
    patientName: text(0x00100010),
    birthDate: text(0x00100030),
    sex: text(0x00100040),
    modality: text(0x00080060),
    procedure: `LOCAL^${description.replace(/[|^~\\&\r\n]/g, ' ')}^L`,
  };
}
