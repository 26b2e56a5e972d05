import type { Patient, Resource } from '@medplum/fhirtypes';
import type { ResourceWrite } from '../../fhir/resource-store.ts';
import { FILING_QUEUE } from '../../kernel/handoffs.ts';
import type { JobRequest } from '../../queue/job.ts';
import { readReferring, supersedeUnsent } from './merged-patient.store.ts';
import { type FilingGround, OpenRecord } from './open-record.ts';
import { replacedBy, survivorOf } from './place-patient.ts';

/** Resources of a merged patient that are read and written at once: bounds the memory of a merge with a long history. */
export const MOVED_AT_ONCE_MAX = 500;

/**
 * Work that was under way when the merge came may still write for the retired patient: it knew no other. So he is looked at again, when
 * what ran then has ended, and so long after that once more for what waited longer.
 */
export const LOOK_AGAIN_MS = [60_000, 15 * 60_000] as const;

/** Writes what was put of the two patients, moves everything recorded for the retired one to the survivor, and says when to look again. */
export async function movePatient(record: OpenRecord, retired: string, survivor: string): Promise<void> {
  const { outbox, tx } = record.ground;
  await outbox.add(tx, [...(await moveRecords(record, retired, survivor)), ...nextLook(retired, 0)]);
}

/** One job at a time: a merge writes one row for its looks. */
function nextLook(retired: string, looks: number): JobRequest<object>[] {
  const ms = LOOK_AGAIN_MS[looks];
  if (ms === undefined) return [];
  const payload = { retiredPatientId: retired, looks };
  return [{ queue: FILING_QUEUE, payload, notBefore: new Date(Date.now() + ms) }];
}

/**
 * Points orders, visits, studies, reports, findings and tasks to the survivor, each as a new version: the one before says whose it was. Results that
 * have not left are made again with the survivor's number (the jobs that it gives), and the message that waited is not sent. A result that was
 * acknowledged is not sent again: its receiver has had the merge too.
 */
async function moveRecords(
  record: OpenRecord,
  retired: string,
  survivor: string,
): Promise<JobRequest<object>[]> {
  const { tx, store } = record.ground;
  const from = `Patient/${retired}`;
  const to = `Patient/${survivor}`;
  const reports = new Map<string, number>();
  let after = { type: '', id: '' };
  for (;;) {
    const found = await readReferring(tx, from, after, MOVED_AT_ONCE_MAX);
    const writes = found.map(({ content, version }): ResourceWrite => {
      const resource = moved(JSON.parse(content) as Resource & { id: string }, from, to, store.base);
      return { kind: 'update', resource, ifVersion: String(version), unchanged: 'skip' };
    });
    for (const { type, id, versionId } of await record.flush(writes))
      if (type === 'DiagnosticReport') reports.set(id, Number(versionId));
    const last = found.at(-1);
    if (!last || found.length < MOVED_AT_ONCE_MAX) break;
    after = last;
  }
  const unsent = await supersedeUnsent(tx, [...reports.keys()], retired);
  return unsent.map((diagnosticReportId) => ({
    queue: RIS_MESSAGE_QUEUE,
    payload: { diagnosticReportId, versionId: reports.get(diagnosticReportId) ?? 0, patientId: survivor },
    lane: `oru:${survivor}`,
  }));
}

/** Moves what was written for a retired patient since, and says when to look for the last time. One who is retired no more, or gone, is left alone. */
export async function lookAgain(ground: FilingGround, retired: string, looks: number): Promise<void> {
  const record = new OpenRecord(ground, []);
  const patient = await record.read<Patient>('Patient', retired);
  if (patient === null || replacedBy(patient) === null) return;
  const jobs = await moveRecords(record, retired, (await survivorOf(record, patient)).id);
  await ground.outbox.add(ground.tx, [...jobs, ...nextLook(retired, looks + 1)]);
}

/** Its row and its lane stand in `flow/study-flow.ts`. The step makes the message of the version that is there when it runs. */
const RIS_MESSAGE_QUEUE = 'ris-message';

/** Every reference to the patient as he is now; one that names a version stays, for it says what was. */
function moved<T>(value: T, from: string, to: string, base: string): T {
  if (Array.isArray(value)) return value.map((one) => moved(one, from, to, base)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [
    key,
    key === 'reference' && (one === from || one === `${base}/${from}`) ? to : moved(one, from, to, base),
  ]);
  return Object.fromEntries(entries) as T;
}
