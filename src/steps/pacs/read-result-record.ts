import type {
  Device,
  DiagnosticReport,
  ImagingStudy,
  Media,
  Observation,
  Reference,
  Resource,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { referenceToId } from '../../fhir/reference-to-id.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { type AnalysisEvidence, evidenceId, readEvidence } from '../../governance/analysis-evidence.ts';
import { deviceId } from '../../governance/manifest-to-device.ts';
import { isWithdrawn } from '../../governance/standing.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';

/** Study, model and inputs of a report, from its analysis identifier. */
export interface AnalysisKey {
  readonly studyInstanceUid: string;
  /** `<id>@<version>` */
  readonly model: string;
  readonly inputsDigest: string;
}

/** The record that DICOM objects are made of. */
export interface ResultRecord {
  readonly key: AnalysisKey;
  readonly report: DiagnosticReport;
  /** In the order of the report, without those withdrawn. */
  readonly observations: readonly Observation[];
  readonly study: ImagingStudy;
  readonly device: Device;
  readonly order: ServiceRequest | null;
  readonly evidence: AnalysisEvidence | null;
  readonly picture: KeptPicture | null;
}

export interface KeptPicture {
  /** Of the Binary: follows from study, model and inputs. */
  readonly id: string;
  readonly png: Buffer;
  /** The image it was drawn on. */
  readonly sopInstanceUid: string | null;
}

/** Null for a report that is none of ours. */
export function analysisKeyOf(report: DiagnosticReport): AnalysisKey | null {
  const value = report.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)?.value;
  const [studyInstanceUid, model, inputsDigest] = value?.split('|') ?? [];
  return studyInstanceUid && model && inputsDigest ? { studyInstanceUid, model, inputsDigest } : null;
}

/** Reads it as it stands now, pictures and masks included. Throws `pacs.not-describable` when a part that every object needs is gone. */
export async function readResultRecord(
  store: ResourceStore,
  report: DiagnosticReport,
  key: AnalysisKey,
): Promise<ResultRecord> {
  const media = (report.media ?? []).map((one) => one.link);
  const found = await readAll(store, [
    ...(report.result ?? []),
    ...(report.imagingStudy ?? []),
    ...(report.basedOn ?? []),
    ...media,
    { reference: `Binary/${evidenceId(key.studyInstanceUid, key.model, key.inputsDigest)}` },
  ]);
  const observations = all<Observation>(found, 'Observation');
  const picture = all<Media>(found, 'Media')[0];
  const further = await readAll(store, [
    observations.find((one) => one.device)?.device ?? { reference: `Device/${deviceIdOf(key.model)}` },
    picture?.content.url ? { reference: picture.content.url } : undefined,
  ]);
  const study = all<ImagingStudy>(found, 'ImagingStudy')[0];
  const device = all<Device>(further, 'Device')[0];
  if (!study) throw missing('imaging study');
  if (!device) throw missing('device');
  const evidence = binaryOf(found);
  const png = binaryOf(further);
  return {
    key,
    report,
    observations: observations.filter((one) => !isWithdrawn(one)),
    study,
    device,
    order: all<ServiceRequest>(found, 'ServiceRequest')[0] ?? null,
    evidence: evidence === null ? null : readEvidence(evidence.toString('utf8')),
    picture: picture?.id && png ? { id: picture.id, png, sopInstanceUid: drawnOn(picture) } : null,
  };
}

/** Of the model, for a record whose findings are all gone: `<id>@<version>` → id of its Device. */
export function deviceIdOf(model: string): string {
  const [id = '', version = ''] = model.split('@');
  return deviceId({ id, version });
}

const drawnOn = (media: Media): string | null =>
  media.identifier
    ?.find(({ system }) => system === IDENTIFIER_SYSTEMS.dicomUid)
    ?.value?.replace(/^urn:oid:/, '') ?? null;

function all<T extends Resource>(found: readonly Resource[], type: T['resourceType']): T[] {
  return found.filter((one): one is T => one.resourceType === type);
}

function binaryOf(found: readonly Resource[]): Buffer | null {
  const binary = found.find((one) => one.resourceType === 'Binary');
  return binary?.resourceType === 'Binary' && binary.data ? Buffer.from(binary.data, 'base64') : null;
}

async function readAll(
  store: ResourceStore,
  references: readonly (Reference | undefined)[],
): Promise<Resource[]> {
  const ids = references.flatMap((one) => referenceToId(one) ?? []);
  const kept = ids.length === 0 ? [] : await store.readMany(ids);
  return kept.filter((one) => !one.deleted).map((one) => one.parse<Resource>());
}

const missing = (part: string): Failure =>
  new Failure('pacs.not-describable', `The record has no ${part}, and a DICOM object cannot do without.`);
