import { randomUUID } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Group } from '@medplum/fhirtypes';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import type { Caller } from '../fhir-request.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import { parametersOf } from '../operations/read-parameters.ts';
import {
  type BulkJob,
  EXPORT_QUEUE,
  type ExportRequest,
  IMPORT_QUEUE,
  type ImportRequest,
} from './bulk-job.ts';
import type { BulkParts } from './bulk-parts.ts';
import { membersOf } from './export-units.ts';
import { EXPORT_PARAMETERS, readExportRequest } from './read-export-request.ts';

/** Exports and imports of one client that are not at their end: each holds disk and a worker. */
export const BULK_JOBS_MAX_PER_CLIENT = 5;
/** Files of one import. */
export const IMPORT_FILES_MAX = 1_000;

export type StartParts = BulkParts & { readonly importFolder: string };

/** The kick-offs of the Bulk Data Access IG: `[base]/$export`, `Patient/$export`, `Group/[id]/$export`, and `$import` of files in the import folder. */
export function bulkOperations(parts: StartParts): Operation[] {
  const startExport = (level: ExportRequest['level']) => (request: OperationRequest) =>
    kickOff(level, request, parts);
  const ofPatients = [...EXPORT_PARAMETERS, 'patient'];
  return [
    {
      name: '$export',
      level: 'system',
      parameters: EXPORT_PARAMETERS,
      get: true,
      run: startExport('system'),
    },
    {
      name: '$export',
      level: 'type',
      type: 'Patient',
      parameters: ofPatients,
      get: true,
      run: startExport('patient'),
    },
    {
      name: '$export',
      level: 'instance',
      type: 'Group',
      parameters: ofPatients,
      get: true,
      run: startExport('group'),
    },
    {
      name: '$import',
      level: 'system',
      parameters: ['input'],
      run: (request) => importFolder(request, parts),
    },
  ];
}

async function kickOff(
  level: ExportRequest['level'],
  request: OperationRequest,
  parts: StartParts,
): Promise<OperationAnswer> {
  const asked = readExportRequest(level, request, parts.store.base);
  if (level === 'group') {
    demandAccess(request.access, 'Group', 'read');
    const group = await parts.store.read('Group', request.id ?? '', undefined, request.access);
    if (!group) throw new Failure('fhir.not-found', 'There is no resource with this id.');
    if (group.deleted) throw new Failure('fhir.deleted', 'The group was deleted.');
    const members = asked.patients ? new Set(membersOf(group.parse<Group>())) : null;
    if (members && asked.patients?.some((id) => !members.has(id)))
      throw new Failure('fhir.invalid', 'A patient that is named is no active member of the group.');
  }
  if (asked.patients) await demandPatients(asked.patients, request, parts);
  return startJob('export', randomUUID(), callerOf(request), asked, parts);
}

/** Bulk Data Access IG 2.0: a patient who is not on the server is an error of the kick-off. */
async function demandPatients(
  ids: readonly string[],
  { access }: OperationRequest,
  { store }: StartParts,
): Promise<void> {
  demandAccess(access, 'Patient', 'read');
  const those = ids.map((id) => ({ type: 'Patient', id }));
  const found = await store.readMany(those, undefined, access);
  if (found.length < ids.length)
    throw new Failure('fhir.not-found', 'A patient that is named is not on this server.');
}

/** Throws when the request came inside a Bundle, whose answer has no room for what follows. */
function callerOf({ caller }: OperationRequest): Caller {
  if (caller) return caller;
  throw new Failure('fhir.unsupported', 'Ask for this in a request of its own, not in a Bundle.');
}

/** Writes the job and what runs it in one transaction, and answers 202 with the status URL. Throws `fhir.bulk-busy`. */
export async function startJob(
  kind: BulkJob['kind'],
  id: string,
  caller: Caller,
  request: ExportRequest | ImportRequest,
  parts: StartParts,
  clock: Clock = parts.clock ?? systemClock,
): Promise<OperationAnswer> {
  const { database, jobs, outbox, store } = parts;
  await database.transaction(async (tx) => {
    if ((await jobs.openOf(tx, caller.clientId)) >= BULK_JOBS_MAX_PER_CLIENT)
      throw new Failure(
        'fhir.bulk-busy',
        `You have ${BULK_JOBS_MAX_PER_CLIENT} exports and imports under way. Wait for one, or cancel it.`,
      );
    await jobs.insert(tx, { id, kind, caller, request, createdAt: clock.now() });
    await outbox.add(tx, [
      { queue: kind === 'export' ? EXPORT_QUEUE : IMPORT_QUEUE, payload: { jobId: id } },
    ]);
  });
  return { status: 202, resource: null, headers: { 'content-location': statusUrl(store.base, id) } };
}

export const statusUrl = (base: string, id: string): string => `${base}/_bulk/${id}`;

/** `Parameters` with one part `input` per file: `url` is a name in the folder BULK_IMPORT_FOLDER, `type` (optional) what all its lines must be. */
async function importFolder(request: OperationRequest, parts: StartParts): Promise<OperationAnswer> {
  const caller = callerOf(request);
  if (parts.importFolder === '')
    throw new Failure(
      'fhir.unsupported',
      'Send the NDJSON as the body (application/fhir+ndjson), or set BULK_IMPORT_FOLDER.',
    );
  const inputs = parametersOf(request.body).filter((one) => one.name === 'input');
  if (inputs.length === 0 || inputs.length > IMPORT_FILES_MAX)
    throw new Failure(
      'fhir.invalid',
      `The import needs 1 to ${IMPORT_FILES_MAX} parameters input with a part url.`,
    );
  const files = [];
  for (const { part = [] } of inputs) {
    const value = (name: string): string | null => {
      const found = part.find((one) => one.name === name);
      return found?.valueUrl ?? found?.valueUri ?? found?.valueString ?? found?.valueCode ?? null;
    };
    files.push({ ...(await fileIn(parts.importFolder, value('url') ?? '')), type: value('type') });
  }
  return startJob(
    'import',
    randomUUID(),
    caller,
    { source: 'folder', files, url: `${parts.store.base}/$import` },
    parts,
  );
}

/** Only plain names of plain files: nothing is fetched, and nothing outside the folder is read. */
async function fileIn(folder: string, name: string): Promise<{ name: string; bytes: number }> {
  const isPlain = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name);
  const found = isPlain ? await lstat(join(folder, name)).catch(() => null) : null;
  if (!found?.isFile())
    throw new Failure('fhir.invalid', 'url of an input must be the name of a file in BULK_IMPORT_FOLDER.');
  return { name, bytes: found.size };
}
