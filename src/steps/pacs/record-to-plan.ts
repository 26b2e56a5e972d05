import { createHash } from 'node:crypto';
import type { Device, DiagnosticReport, Identifier, ServiceRequest } from '@medplum/fhirtypes';
import { ownCode } from '../../dicom/dicom-code.ts';
import { jsonNumber, jsonString } from '../../dicom/json-values.ts';
import type {
  MeasurementGroup,
  MeasurementReport,
  ReferencedRequest,
} from '../../dicom/measurement-report.ts';
import type { Algorithm, ResultContext } from '../../dicom/result-object.ts';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import type { RejectionNote } from '../../dicom/write-rejection-note.ts';
import { referenceOf } from '../../dicom/write-segmentation.ts';
import { isUnsigned } from '../../governance/standing.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { dicomMoment } from './dicom-moment.ts';
import { plainCode } from './fhir-to-dicom-code.ts';
import type { ObjectPlan } from './make-objects.ts';
import { imageRegionsOf } from './observation-regions.ts';
import { observationToGroup } from './observation-to-group.ts';
import type { KnownObject, ObjectKind } from './pacs-object.store.ts';
import { planSegmentation, type SegmentationPlan, segmentationRefusal } from './plan-segmentation.ts';
import type { ResultRecord } from './read-result-record.ts';
import { instanceNumberOf, referenceTo, revisionOf, standing, uidOfContent } from './standing.ts';
import { pictureWords, segmentationWords, superseded } from './superseded.ts';

export interface PlanOptions {
  readonly wanted: ReadonlySet<ObjectKind>;
  readonly reportVersion: number;
  /** Everything made of this report before. */
  readonly earlier: readonly KnownObject[];
  /** Metadata of the study's own instances, ours left out. */
  readonly metadata: readonly DicomJson[];
  /** SITE_TIME_ZONE */
  readonly timeZone: string | null;
}

/** The record → the objects to be made of it. UIDs follow from the record, so that a repeat is the same object. Throws `pacs.not-describable`. */
export function recordToPlan(record: ResultRecord, options: PlanOptions): ObjectPlan {
  const images = imagesOf(record, options.metadata);
  const context = contextOf(record, images[0]!, options);
  const { studyInstanceUid } = record.key;
  const { wanted, earlier } = options;
  const masks = planSegmentation(record, context, images, (says) => uidOfContent(says, earlier));
  const segmentation = wanted.has('seg') ? masks : null;
  const known = (uid: string | undefined) => earlier.some((one) => one.sopInstanceUid === uid);
  const capture = wanted.has('sc') ? captureOf(record, context, images, options) : null;
  const reportWith = (one: ResultRecord, shown: SegmentationPlan | null) =>
    reportOf(one, context, images, shown, options);
  return {
    studyInstanceUid,
    // What was made of the same pixels before is there already.
    segmentation: known(segmentation?.object.sopInstanceUid) ? null : (segmentation?.object ?? null),
    capture: known(capture?.sopInstanceUid) ? null : capture,
    report: wanted.has('sr') ? reportWith(record, segmentation) : null,
    note: replacementNote(record, context, options, () => digestsOf(record, masks, reportWith)),
    segmentationRefused: wanted.has('seg') ? segmentationRefusal(record, images) : null,
  };
}

/** A note for what says something else than the record does now; null when nothing does. */
function replacementNote(
  { report, key, observations }: ResultRecord,
  context: ResultContext,
  { earlier, reportVersion, wanted }: PlanOptions,
  reportDigests: () => ReadonlySet<string>,
): RejectionNote | null {
  const now = {
    segmentation: segmentationWords(key),
    picture: pictureWords(key, captionLines(observations)),
    reportDigests,
  };
  const rejected = superseded(now, earlier, wanted);
  if (rejected.length === 0) return null;
  return {
    context,
    studyInstanceUid: key.studyInstanceUid,
    ...noteUids(report.id ?? '', reportVersion, earlier),
    instanceNumber: instanceNumberOf('ko', reportVersion, earlier),
    reason: 'quality',
    rejected: rejected.map(referenceTo),
    replaced: true,
  };
}

/** Digests of a structured report of this record, whether a person has seen it or not and with or without a segmentation beside it. */
function digestsOf(
  record: ResultRecord,
  masks: SegmentationPlan | null,
  reportWith: (record: ResultRecord, masks: SegmentationPlan | null) => MeasurementReport,
): ReadonlySet<string> {
  const statuses = ['preliminary', 'final', 'partial'] as const;
  const written = statuses.flatMap((status) =>
    [masks, null].map((shown) => reportWith({ ...record, report: { ...record.report, status } }, shown)),
  );
  return new Set(written.map(contentDigestOf));
}

/** Rejection notes of a report are one series. */
export function noteUids(reportId: string, version: number, earlier: readonly KnownObject[]) {
  return {
    seriesInstanceUid: stableUid('ko series', reportId),
    sopInstanceUid: stableUid('ko', reportId, ...versionWords(version, revisionOf('ko', version, earlier))),
  };
}

/** What a version is called in UIDs; a further object of the same version, after an edit of a finding, has another name. */
const versionWords = (version: number, revision: number): string[] =>
  revision === 0 ? [String(version)] : [String(version), 'edit', String(revision)];

/** Patient, study, model and time of every object: that of the report, or of the finding that was edited after it. */
function contextOf(
  { device, report, observations }: Pick<ResultRecord, 'device' | 'report' | 'observations'>,
  source: DicomJson,
  { timeZone }: Pick<PlanOptions, 'timeZone'>,
): ResultContext {
  const instants = [report, ...observations].map((one) => one.meta?.lastUpdated ?? '');
  const instant = instants.sort().at(-1) || (report.issued ?? '');
  return { source, algorithm: algorithmOf(device), moment: dicomMoment(instant, source, timeZone) };
}

/** What the report says, whatever it is called and whenever it was made. */
export function contentDigestOf(report: MeasurementReport): string {
  const {
    context,
    seriesInstanceUid: _series,
    sopInstanceUid: _uid,
    instanceNumber: _number,
    ...says
  } = report;
  const { predecessors: _predecessors, ...content } = says;
  return createHash('sha256')
    .update(JSON.stringify([context.algorithm, content]))
    .digest('hex');
}

/** The instances the model was given, in their order; of an older record the series it names, or every image of the study. */
function imagesOf({ evidence }: ResultRecord, metadata: readonly DicomJson[]): DicomJson[] {
  const byUid = new Map(metadata.map((one) => [jsonString(one, '00080018') ?? '', one]));
  const given = (evidence?.sopInstanceUids ?? []).flatMap((uid) => present(byUid.get(uid)));
  if (given.length > 0) return given;
  const images = metadata.filter((one) => (jsonNumber(one, '00280010') ?? 0) > 0);
  if (images.length > 0) return images;
  throw new Failure('pacs.not-describable', 'The PACS has no image of this study any more.');
}

const present = (instance: DicomJson | undefined): DicomJson[] => (instance ? [instance] : []);

function reportOf(
  record: ResultRecord,
  context: ResultContext,
  images: readonly DicomJson[],
  segmentation: SegmentationPlan | null,
  options: PlanOptions,
): MeasurementReport {
  const { report, order } = record;
  const references = images.map(referenceOf);
  const groups: MeasurementGroup[] = record.observations.map((observation) =>
    observationToGroup(observation, {
      regions: imageRegionsOf(observation, options.metadata),
      segment: segmentation?.segmentOf(observation) ?? null,
    }),
  );
  const preliminary = isUnsigned(report);
  const { reportVersion, earlier } = options;
  return {
    context,
    ...reportUids(report, reportVersion, earlier),
    instanceNumber: instanceNumberOf('sr', reportVersion, earlier),
    title: `${preliminary ? 'AI, not reviewed' : 'AI result'}: ${context.algorithm.name}`,
    completion: report.status === 'registered' || report.status === 'partial' ? 'PARTIAL' : 'COMPLETE',
    preliminary,
    procedureReported:
      plainCode(report.code) ?? ownCode('procedure', report.code?.text ?? 'Imaging procedure'),
    images: references,
    groups,
    furtherEvidence: [
      ...(segmentation ? [segmentation.reference] : []),
      ...groups.flatMap((group) => group.regions.map((region) => region.image)),
    ],
    predecessors: standing(earlier)
      .filter(({ kind }) => kind === 'sr')
      .slice(-1)
      .map(referenceTo),
    request: requestOf(order, report, context.source),
  };
}

/** All versions of a report are one series; each is an instance of its own. */
const reportUids = ({ id = '' }: DiagnosticReport, version: number, earlier: PlanOptions['earlier']) => ({
  seriesInstanceUid: stableUid('sr series', id),
  sopInstanceUid: stableUid('sr', id, ...versionWords(version, revisionOf('sr', version, earlier))),
});

function captureOf(
  { key, picture, report, observations }: ResultRecord,
  context: ResultContext,
  images: readonly DicomJson[],
  { reportVersion, earlier }: Pick<PlanOptions, 'reportVersion' | 'earlier'>,
): ObjectPlan['capture'] {
  if (!picture) return null;
  const { studyInstanceUid, model } = key;
  const drawnOn = images.find((one) => jsonString(one, '00080018') === picture.sopInstanceUid);
  const status = isUnsigned(report) ? 'Preliminary AI result. Not reviewed by a radiologist.' : 'AI result.';
  const lines = captionLines(observations);
  return {
    context,
    seriesInstanceUid: stableUid('sc series', studyInstanceUid, model),
    sopInstanceUid: uidOfContent(pictureWords(key, lines), earlier),
    instanceNumber: instanceNumberOf('sc', reportVersion, earlier),
    title: `AI picture: ${context.algorithm.name}`,
    drawnOn: drawnOn ? referenceOf(drawnOn) : null,
    png: picture.png,
    caption: [status, `${context.algorithm.name} ${context.algorithm.version}`, ...lines],
  };
}

const captionLines = (observations: ResultRecord['observations']): string[] =>
  observations.flatMap(captionLine);

/** Only what is there or was measured: a list of what was not found is no caption. */
function captionLine(observation: ResultRecord['observations'][number]): string[] {
  const label = observation.code?.text ?? '';
  const quantity = observation.valueQuantity;
  if (quantity?.value !== undefined) {
    const unit = quantity.code === "[hnsf'U]" ? 'HU' : (quantity.unit ?? '');
    return [`${label}: ${quantity.value} ${unit}`.trim()];
  }
  const answer = observation.valueCodeableConcept?.coding?.[0]?.code;
  return answer === ABSENT ? [] : [`${label}: ${observation.valueCodeableConcept?.text ?? ''}`];
}

/** SNOMED CT "Absent". */
const ABSENT = '2667000';

export function algorithmOf(device: Device): Algorithm {
  const uid = device.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.dicomUid)?.value;
  const named = (type: string) => device.deviceName?.find((one) => one.type === type)?.name;
  const model = named('model-name') ?? device.modelNumber ?? 'model';
  return {
    deviceUid: uid?.replace(/^urn:oid:/, '') ?? stableUid('device', String(device.id)),
    manufacturer: device.manufacturer ?? 'unknown',
    model,
    name: named('user-friendly-name') ?? model,
    version: device.version?.[0]?.value ?? 'unknown',
  };
}

function requestOf(
  order: ServiceRequest | null,
  report: DiagnosticReport,
  source: DicomJson,
): ReferencedRequest | null {
  const accessionNumber = jsonString(source, '00080050') ?? numberOf(order?.identifier, 'ACSN');
  if (!order && accessionNumber === '') return null;
  return {
    accessionNumber,
    placerOrderNumber: numberOf(order?.identifier, 'PLAC'),
    fillerOrderNumber: numberOf(order?.identifier, 'FILL'),
    procedureDescription: order?.code?.text ?? order?.code?.coding?.[0]?.display ?? report.code?.text ?? '',
  };
}

const numberOf = (identifiers: readonly Identifier[] | undefined, type: string): string =>
  identifiers?.find((one) => one.type?.coding?.some(({ code }) => code === type))?.value ?? '';
