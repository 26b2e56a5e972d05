import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PhantomOptions, phantomSeries, WRONG_STUDIES } from '../models/phantom/make-phantom.ts';
import { phantomFile } from '../models/phantom/phantom-file.ts';
import { phantomUid } from '../models/phantom/phantom-uid.ts';
import { readInstanceHead } from '../src/dicom/read-instance-head.ts';
import type { OrderedExam } from './order-message.ts';
import { otherUid, withFileMeta, withUids } from './own-file.ts';

/** A study to be sent through the demo: who and what, and its files one after the other. */
export interface DemoStudy {
  readonly label: string;
  readonly exam: OrderedExam;
  readonly instances: number;
  files(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface FileRemark {
  readonly path: string;
  readonly remark: string;
}

/** Two phantoms: a chest that fits the reference model, and a head that does not. Each run of the demo makes studies of its own. */
export function phantomStudies(run: string): DemoStudy[] {
  return [
    phantom(run, 'Phantom chest CT, 120 slices', { seed: 7, emphysemaFraction: 0.12 }, '24627-2^CT Chest^LN'),
    phantom(run, 'Phantom head CT, 32 slices', { ...WRONG_STUDIES.head, seed: 8 }, '24725-4^CT Head^LN'),
  ];
}

function phantom(run: string, label: string, options: Partial<PhantomOptions>, procedure: string): DemoStudy {
  const uids = {
    studyInstanceUid: phantomUid(`demo ${run} ${label}`),
    seriesInstanceUid: phantomUid(`demo series ${run} ${label}`),
  };
  const accessionNumber = `${run}${options.seed}`;
  const series = phantomSeries({
    ...options,
    identity: { ...options.identity, ...uids, accessionNumber, ...today() },
  });
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

interface FoundStudy {
  exam: OrderedExam;
  label: string;
  /** SOP Instance UID → file. */
  files: Map<string, OwnFile>;
}

interface OwnFile {
  readonly path: string;
  readonly sopClassUid: string;
  /** UIDs to be exchanged: a second file with the UIDs of another becomes a study of its own. */
  readonly exchange: ReadonlyMap<string, string>;
}

/** The studies in a folder of DICOM files, and what there is to say about single files. */
export async function studiesIn(folder: string): Promise<{ studies: DemoStudy[]; remarks: FileRemark[] }> {
  const found = new Map<string, FoundStudy>();
  const remarks: FileRemark[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    try {
      const remark = await takeFile(path, entry.name, found);
      if (remark) remarks.push({ path, remark });
    } catch (error) {
      remarks.push({ path, remark: `left out: ${(error as Error).message}` });
    }
  }
  const studies = [...found.values()].map(({ exam, label, files }) => ({
    label: files.size === 1 ? label : `${label} and ${files.size - 1} more`,
    exam,
    instances: files.size,
    async *files() {
      for (const [sop, { path, sopClassUid, exchange }] of files) {
        yield withFileMeta(withUids(await readFile(path), exchange), sopClassUid, sop);
      }
    },
  }));
  return { studies, remarks };
}

async function takeFile(path: string, name: string, found: Map<string, FoundStudy>): Promise<string | null> {
  const { dataset } = await readInstanceHead(path);
  const text = (tag: number) => dataset.string(tag) ?? '';
  const uids = [text(0x0020000d), text(0x0020000e), text(0x00080018)];
  if (uids.includes('')) throw new Error('it has no study, series or instance UID');
  const taken = ([study = '', , sop = '']: string[]) => found.get(study)?.files.has(sop) === true;
  let own = uids;
  for (let copy = 1; taken(own); copy += 1) own = uids.map((uid) => otherUid(uid, copy));
  const [study = '', , sop = ''] = own;
  const entry = found.get(study) ?? {
    exam: { ...examOf(text), studyInstanceUid: study },
    label: name,
    files: new Map(),
  };
  entry.files.set(sop, {
    path,
    sopClassUid: text(0x00080016),
    exchange: new Map(uids.map((uid, index) => [uid, own[index] ?? uid])),
  });
  found.set(study, entry);
  return own === uids
    ? null
    : 'has the UIDs of another file here; it is sent as a study of its own, with other UIDs';
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
