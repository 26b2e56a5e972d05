import type { Settings } from '../config/settings.ts';
import type { InstanceStore, StoreFailed, StoreResult } from '../dicom/instance-store.ts';
import { jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { Failure } from '../kernel/errors.ts';
import { type ClientAnswer, callDicomweb } from './dicomweb-client.ts';
import { type DicomwebConnection, dicomwebConnection } from './dicomweb-connection.ts';
import { statusFailure } from './dicomweb-request.ts';

/** dicomweb-client joins all files of a request in memory, twice: a request carries so much and no more. */
export const STOW_REQUEST_BYTES_MAX = 32 * 1024 * 1024;

/** The PACS at `DICOMWEB_URL` as the place where results are stored. */
export class DicomwebStore implements InstanceStore {
  constructor(private readonly connection: DicomwebConnection) {}

  store(_studyInstanceUid: string, files: readonly Uint8Array[]): Promise<StoreResult> {
    return storeInstances(this.connection, files);
  }
}

/** With the credentials of the settings. Throws `config.invalid` when `DICOMWEB_URL` is not set. */
export function dicomwebStoreOf(settings: Settings): DicomwebStore {
  if (!settings.DICOMWEB_URL) throw new Failure('config.invalid', 'DICOMWEB_URL is not set.');
  const { DICOMWEB_TOKEN: token, DICOMWEB_USER: user, DICOMWEB_PASSWORD: password } = settings;
  return new DicomwebStore(dicomwebConnection(settings.DICOMWEB_URL, { token, user, password }));
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
): Promise<StoreResult> {
  const stored: string[] = [];
  const failed: StoreFailed[] = [];
  for await (const datasets of batches(files)) {
    const answer = await callDicomweb(
      connection,
      'store',
      (client, request) => client.storeInstances({ datasets: datasets.map(ownBuffer), request }),
      [404, 405, 409, 501],
    );
    if (NO_STORE.has(answer.status)) throw notOffered(answer.status);
    const result = readStowAnswer(answer, datasets.length);
    stored.push(...result.stored);
    failed.push(...result.failed);
  }
  return { stored, failed };
}

/** Reads the Store Instances Response (PS3.18 10.5.3). Throws `dicomweb.answer` when it does not account for all that was sent. */
function readStowAnswer(answer: ClientAnswer, sent: number): StoreResult {
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

/** No such path, not with POST, or not there yet: nothing that waiting mends. */
const NO_STORE: ReadonlySet<number> = new Set([404, 405, 501]);

const notOffered = (status: number): Failure =>
  new Failure(
    'dicomweb.store-not-offered',
    `The PACS has no STOW-RS at DICOMWEB_URL (${status}). Switch it on there and replay, or set PACS_OBJECTS=none.`,
  );

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
