import { randomBytes } from 'node:crypto';
import type { OrderedExam } from '../../demo/order-message.ts';
import { dxAttributes } from '../../models/phantom/dx-attributes.ts';
import { enhancedFile } from '../../models/phantom/enhanced-file.ts';
import { type PhantomIdentity, phantomIdentity } from '../../models/phantom/general-attributes.ts';
import {
  type PhantomForm,
  type PhantomTruth,
  phantomSeries,
  WRONG_STUDIES,
} from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { phantomUid } from '../../models/phantom/phantom-uid.ts';

export interface TestStudy {
  readonly uid: string;
  readonly exam: OrderedExam;
  readonly identity: PhantomIdentity;
  readonly files: readonly Uint8Array[];
}

/** Accession numbers end at sixteen characters and must differ over all tests on one database. */
const fresh = (prefix: string) => `${prefix}${randomBytes(5).toString('hex').toUpperCase()}`;

/** A radiograph of 64 × 64 pixels for the tiny model: one file, a few kilobytes. */
export function tinyStudy(given: Partial<PhantomIdentity> = {}): TestStudy {
  const run = fresh('X');
  const identity = phantomIdentity(1, 'radiograph', {
    patientId: run,
    accessionNumber: run,
    studyInstanceUid: phantomUid(`study ${run}`),
    seriesInstanceUid: phantomUid(`series ${run}`),
    ...today(),
    ...given,
  });
  return studyOf(identity, 'DX', [tinyImage(identity, 'AP')]);
}

/** One more image for a tiny study, in a series of its own: PA is what the model takes rather than the first, LL it does not take. */
export function lateImage(study: TestStudy, view: 'PA' | 'LL'): Uint8Array {
  return tinyImage(
    { ...study.identity, seriesInstanceUid: phantomUid(`late ${study.uid}`), seriesNumber: 9 },
    view,
  );
}

/** The smallest chest CT that the reference model takes: 70 slices of 256 × 256 and 4 more, or as one Enhanced CT. Drawn in about a second. */
export function chestStudy(
  given: Partial<PhantomIdentity> = {},
  emphysemaFraction = 0.12,
  form: PhantomForm = 'classic',
): TestStudy & { readonly truth: PhantomTruth } {
  const run = fresh('C');
  const options = {
    seed: 21,
    slices: 74,
    rows: 256,
    columns: 256,
    sliceSpacingMm: 3,
    pixelSpacingMm: 1,
    emphysemaFraction,
  };
  const series = phantomSeries({ ...options, identity: { ...identityOf(run), ...given } });
  const slices = [...series.slices()];
  const files =
    form === 'enhanced'
      ? [enhancedFile(slices)]
      : slices.map((slice) => phantomFile(slice.attributes, slice.stored));
  return { ...studyOf(series.identity, 'CT', files), truth: series.truth() };
}

/** A head: no model of the project fits it. */
export function headStudy(given: Partial<PhantomIdentity> = {}): TestStudy {
  const run = fresh('H');
  const series = phantomSeries({
    ...WRONG_STUDIES.head,
    seed: 8,
    slices: 4,
    rows: 64,
    columns: 64,
    identity: { ...identityOf(run), ...given },
  });
  return studyOf(
    series.identity,
    'CT',
    [...series.slices()].map((slice) => phantomFile(slice.attributes, slice.stored)),
  );
}

function identityOf(run: string): Partial<PhantomIdentity> {
  return {
    patientId: run,
    accessionNumber: run,
    studyInstanceUid: phantomUid(`study ${run}`),
    seriesInstanceUid: phantomUid(`series ${run}`),
    ...today(),
  };
}

function tinyImage(identity: PhantomIdentity, view: 'AP' | 'PA' | 'LL'): Uint8Array {
  const stored = new Uint16Array(64 * 64);
  const darkest = view === 'AP' ? 0 : 1_200;
  for (let pixel = 0; pixel < stored.length; pixel += 1) stored[pixel] = darkest + (pixel % 2_048);
  return phantomFile({ ...dxAttributes(identity, 64, 64, 350), ViewPosition: view }, stored);
}

function studyOf(identity: PhantomIdentity, modality: string, files: readonly Uint8Array[]): TestStudy {
  const exam: OrderedExam = {
    accession: identity.accessionNumber,
    studyInstanceUid: identity.studyInstanceUid,
    patientId: identity.patientId,
    patientIdIssuer: identity.issuerOfPatientId,
    patientName: identity.patientName,
    birthDate: identity.birthDate,
    sex: identity.sex,
    modality,
    procedure: modality === 'CT' ? '24627-2^CT Chest^LN' : '36554-4^XR Chest^LN',
  };
  return { uid: identity.studyInstanceUid, exam, identity, files };
}

function today(): { studyDate: string; studyTime: string } {
  const [date = '', time = ''] = new Date().toISOString().split('T');
  return { studyDate: date.replaceAll('-', ''), studyTime: time.slice(0, 8).replaceAll(':', '') };
}
