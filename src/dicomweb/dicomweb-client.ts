import { api } from 'dicomweb-client';
import { Failure } from '../kernel/errors.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { statusFailure } from './dicomweb-request.ts';
import { XhrOverFetch } from './xhr-over-fetch.ts';

/** QIDO answers are pages of 200 short rows; metadata of 3,000 slices was seen at 30 MB. */
export const QIDO_ANSWER_BYTES_MAX = 32 * 1024 * 1024;
export const METADATA_BYTES_MAX = 256 * 1024 * 1024;
export const STOW_ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** The calls of dicomweb-client that we use; its own types leave the request's shape open. */
interface Client {
  searchForStudies(options: Options): Promise<unknown>;
  searchForInstances(options: Options & { studyInstanceUID: string }): Promise<unknown>;
  retrieveStudyMetadata(options: Options & { studyInstanceUID: string }): Promise<unknown>;
  storeInstances(options: Options & { datasets: ArrayBufferLike[] }): Promise<unknown>;
}

interface Options {
  readonly request: { instance: XhrOverFetch; responseType: string };
  readonly queryParams?: Readonly<Record<string, string | number>>;
}

export interface ClientAnswer {
  readonly status: number;
  /** Parsed JSON; null where the server gave no JSON with a status that is no success. */
  readonly body: unknown;
}

/**
 * Runs one call of dicomweb-client on our own transport. Gives status and body for 2xx and for those in `expected`;
 * throws `dicomweb.*` for everything else.
 */
export async function callDicomweb(
  connection: DicomwebConnection,
  kind: 'query' | 'metadata' | 'store',
  call: (client: Client, request: Options['request']) => Promise<unknown>,
  expected: readonly number[] = [],
): Promise<ClientAnswer> {
  const instance = new XhrOverFetch(connection, {
    timeMs: kind === 'store' ? connection.times.bulkMs : connection.times.queryMs,
    answerBytesMax: BYTES_MAX[kind],
  });
  const client = new api.DICOMwebClient({
    url: connection.root.href,
    verbose: false,
  } as never) as unknown as Client;
  try {
    await call(client, { instance, responseType: 'json' });
  } catch (error) {
    if (instance.failure !== undefined) throw instance.failure;
    if (instance.status === 0)
      throw new Failure('dicomweb.answer', 'The answer of the PACS cannot be read.', { cause: error });
    if (!expected.includes(instance.status)) throw statusFailure(instance.status);
  }
  return { status: instance.status, body: instance.response ?? null };
}

const BYTES_MAX = {
  query: QIDO_ANSWER_BYTES_MAX,
  metadata: METADATA_BYTES_MAX,
  store: STOW_ANSWER_BYTES_MAX,
} as const;
