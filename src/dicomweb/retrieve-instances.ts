import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  HEAD_BYTES,
  type InstanceUids,
  instanceUidsIn,
  readInstanceUids,
} from '../dicom/read-instance-head.ts';
import { multipartBoundary, readMultipart } from '../dicom/read-multipart.ts';
import type { LocalInstance } from '../dicom/study-source.ts';
import { writeChunks, writePieces } from '../dicom/write-chunks.ts';
import { Failure } from '../kernel/errors.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { type DicomwebAnswer, sendDicomweb, statusFailure } from './dicomweb-request.ts';
import { WriteQueue } from './write-queue.ts';

/** One instance: the largest enhanced multi-frame objects are near 1 GiB. */
export const RETRIEVE_PART_BYTES_MAX = 2 * 1024 ** 3;
/** One series: 3,000 slices of 512 KB are 1.5 GiB. */
export const RETRIEVE_BYTES_MAX = 16 * 1024 ** 3;
export const RETRIEVE_PARTS_MAX = 20_000;

/**
 * Explicit little endian first, so that the PACS decodes; what it has when it cannot; and what it gives when it does not
 * know the parameter. The deflated syntax is never asked for (a small file may inflate without end).
 */
const ACCEPTS = [
  'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1',
  'multipart/related; type="application/dicom"; transfer-syntax=*',
  'multipart/related; type="application/dicom"',
];
const DEFLATED = '1.2.840.10008.1.2.1.99';

export interface Retrieval {
  readonly connection: DicomwebConnection;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Set: only this instance is asked for. */
  readonly sopInstanceUid?: string;
}

/** What becomes of the instances of an answer. */
export interface RetrievalTaker {
  /** Called for each; what it does not want is not written. Throws to end the retrieval. */
  wants(sopInstanceUid: string): boolean;
  /** The file is whole. Instances may arrive in another order than they were wanted. */
  arrived(instance: LocalInstance): void;
}

/**
 * WADO-RS (PS3.18 10.4) to files in `folder`, as the bytes arrive: the next instance is received while earlier ones are written. Throws
 * `dicomweb.wrong-study` when an instance of another study or series is in the answer. Nothing is being written any more when this ends.
 */
export async function retrieveInstances(
  retrieval: Retrieval,
  folder: string,
  taker: RetrievalTaker,
): Promise<void> {
  const answer = await firstAcceptable(retrieval);
  const boundary = multipartBoundary(answer.headers.get('content-type') ?? '');
  const limits = {
    partsMax: RETRIEVE_PARTS_MAX,
    partBytesMax: RETRIEVE_PART_BYTES_MAX,
    bodyBytesMax: RETRIEVE_BYTES_MAX,
  };
  const writes = new WriteQueue();
  let kept = 0;
  try {
    for await (const part of readMultipart(answer.body, boundary, limits)) {
      const path = join(folder, `${retrieval.sopInstanceUid ?? 'part'}-${kept}.dcm`);
      const instance = await takePart(part.body, path, retrieval, taker, writes);
      if (instance) kept += 1;
    }
    await writes.end();
  } finally {
    await writes.settled();
  }
}

/** Gives whether the instance is wanted, and so will be or is in the file. */
async function takePart(
  body: AsyncIterable<Buffer>,
  path: string,
  retrieval: Retrieval,
  taker: RetrievalTaker,
  writes: WriteQueue,
): Promise<boolean> {
  const { pieces, bytes, rest } = await gather(body);
  const wanted = (uids: InstanceUids) => {
    checkAnswered(uids, retrieval);
    return taker.wants(uids.sopInstanceUid);
  };
  if (rest) {
    await writeBody(path, joined(pieces, rest));
    const uids = await readInstanceUids(path);
    if (!wanted(uids)) return false;
    taker.arrived({ sopInstanceUid: uids.sopInstanceUid, path });
    return true;
  }
  const uids = instanceUidsIn(headOf(pieces, bytes), bytes) ?? instanceUidsIn(Buffer.concat(pieces), bytes);
  if (!uids || !wanted(uids)) return false;
  await writes.add(bytes, async () => {
    await writePieces(path, pieces);
    taker.arrived({ sopInstanceUid: uids.sopInstanceUid, path });
  });
  return true;
}

function checkAnswered(uids: InstanceUids, { studyInstanceUid, seriesInstanceUid }: Retrieval): void {
  if (uids.studyInstanceUid !== studyInstanceUid || uids.seriesInstanceUid !== seriesInstanceUid) {
    throw new Failure(
      'dicomweb.wrong-study',
      'The PACS gives an instance of another study or series than the one asked for.',
    );
  }
  if (uids.transferSyntaxUid === DEFLATED) {
    throw new Failure(
      'dicomweb.not-acceptable',
      'The PACS gives the deflated transfer syntax, which is not taken from the network.',
    );
  }
}

async function firstAcceptable(retrieval: Retrieval): Promise<DicomwebAnswer> {
  const { connection, studyInstanceUid, seriesInstanceUid, sopInstanceUid } = retrieval;
  const path = `/studies/${studyInstanceUid}/series/${seriesInstanceUid}${sopInstanceUid === undefined ? '' : `/instances/${sopInstanceUid}`}`;
  const url = new URL(connection.root.href.replace(/\/$/, '') + path);
  for (const accept of ACCEPTS) {
    const answer = await sendDicomweb(connection, url, {
      method: 'GET',
      headers: { accept },
      timeMs: connection.times.bulkMs,
      answerBytesMax: RETRIEVE_BYTES_MAX,
    });
    if (answer.status === 200) return answer;
    await answer.cancel();
    if (answer.status !== 406) throw statusFailure(answer.status);
  }
  throw statusFailure(406);
}

async function writeBody(path: string, body: AsyncIterable<Buffer>): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await writeChunks(file, body);
  } finally {
    await file.close();
  }
}

/** An instance of up to so many bytes is held until it is written; of a larger one no more than its first. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;

interface Gathered {
  readonly pieces: Buffer[];
  readonly bytes: number;
  /** What comes after the pieces; null when that is all. */
  readonly rest: AsyncIterator<Buffer> | null;
}

async function gather(body: AsyncIterable<Buffer>): Promise<Gathered> {
  const rest = body[Symbol.asyncIterator]();
  const pieces: Buffer[] = [];
  let bytes = 0;
  while (bytes <= HELD_BYTES_MAX) {
    const next = await rest.next();
    if (next.done) return { pieces, bytes, rest: null };
    pieces.push(next.value);
    bytes += next.value.length;
  }
  return { pieces, bytes, rest };
}

async function* joined(pieces: Iterable<Buffer>, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield* pieces;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** At least the first 64 KB, or all of them. Mostly they lie in the first piece. */
function headOf(pieces: readonly Buffer[], bytes: number): Buffer {
  const [first] = pieces;
  if (first && first.length >= Math.min(HEAD_BYTES[0], bytes)) return first;
  let count = 0;
  for (let length = 0; length < Math.min(HEAD_BYTES[0], bytes); count += 1) length += pieces[count]!.length;
  return Buffer.concat(pieces.slice(0, count));
}
