import { jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { Failure } from '../kernel/errors.ts';
import { type ClientAnswer, callDicomweb } from './dicomweb-client.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { statusFailure } from './dicomweb-request.ts';

/** dicomweb-client joins all files of a request in memory, twice: a request carries so much and no more. */
export const STOW_REQUEST_BYTES_MAX = 32 * 1024 * 1024;

export interface StowResult {
  /** SOP Instance UIDs that are in the PACS now, those that were there already included. */
  readonly stored: readonly string[];
  readonly failed: readonly StowFailed[];
}

export interface StowFailed {
  readonly sopInstanceUid: string;
  /** Failure Reason (0008,1197), PS3.18 Annex I. */
  readonly reason: number;
}

/** "The instance is already there": what a retry wants to hear (Azure; PS3.18 leaves the code to the server). */
const ALREADY_THERE = 45_070;

/**
 * Stores Part 10 files (PS3.18 10.5), in several requests when they are large. A refused instance is a value, not an
 * error: 200, 202 and 409 all say instance by instance how it went. Throws `dicomweb.*` when the request as a whole fails;
 * what earlier requests stored stays, and storing it again is success.
 */
export async function storeInstances(
  connection: DicomwebConnection,
  files: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<StowResult> {
  const stored: string[] = [];
  const failed: StowFailed[] = [];
  for await (const datasets of batches(files)) {
    const answer = await callDicomweb(
      connection,
      'store',
      (client, request) => client.storeInstances({ datasets: datasets.map(ownBuffer), request }),
      [409],
    );
    const result = readStowAnswer(answer, datasets.length);
    stored.push(...result.stored);
    failed.push(...result.failed);
  }
  return { stored, failed };
}

/** Reads the Store Instances Response (PS3.18 10.5.3). Throws `dicomweb.answer` when it does not account for all that was sent. */
export function readStowAnswer(answer: ClientAnswer, sent: number): StowResult {
  const body: unknown = Array.isArray(answer.body) ? answer.body[0] : answer.body;
  if (typeof body !== 'object' || body === null) {
    if (answer.status === 409) throw statusFailure(409);
    throw new Failure('dicomweb.answer', 'The PACS does not say which instances it stored.');
  }
  const rows = (tag: string) => ((body as DicomJson)[tag]?.Value ?? []) as DicomJson[];
  const failures = rows('00081198').map((row) => ({
    sopInstanceUid: jsonString(row, '00081155') ?? '',
    reason: Number(jsonString(row, '00081197') ?? ''),
  }));
  const stored = rows('00081199').map((row) => jsonString(row, '00081155') ?? '');
  const there = failures.filter((row) => row.reason === ALREADY_THERE).map((row) => row.sopInstanceUid);
  if (stored.length + failures.length < sent && answer.status !== 200) {
    throw new Failure('dicomweb.answer', 'The PACS stored a part and does not say which.');
  }
  return { stored: [...stored, ...there], failed: failures.filter((row) => row.reason !== ALREADY_THERE) };
}

async function* batches(
  files: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array[], void, undefined> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for await (const file of files) {
    if (batch.length > 0 && bytes + file.byteLength > STOW_REQUEST_BYTES_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.byteLength;
  }
  if (batch.length > 0) yield batch;
}

/** dicomweb-client reads an ArrayBuffer from its first byte; a Buffer may be a window into a larger one. */
function ownBuffer(file: Uint8Array): ArrayBufferLike {
  if (file.byteOffset === 0 && file.byteLength === file.buffer.byteLength) return file.buffer;
  return new Uint8Array(file).buffer;
}
