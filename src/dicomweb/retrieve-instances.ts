import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { readInstanceUids } from '../dicom/read-instance-head.ts';
import { multipartBoundary, readMultipart } from '../dicom/read-multipart.ts';
import type { LocalInstance } from '../dicom/study-source.ts';
import { writeChunks } from '../dicom/write-chunks.ts';
import { Failure } from '../kernel/errors.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { type DicomwebAnswer, sendDicomweb, statusFailure } from './dicomweb-request.ts';

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

/**
 * WADO-RS (PS3.18 10.4) to files in `folder`, as the bytes arrive. Calls `keep` for each instance; what it does not want is
 * overwritten by the next. Throws `dicomweb.wrong-study` when an instance of another study or series is in the answer.
 */
export async function retrieveInstances(
  retrieval: Retrieval,
  folder: string,
  keep: (instance: LocalInstance) => boolean,
): Promise<void> {
  const answer = await firstAcceptable(retrieval);
  const boundary = multipartBoundary(answer.headers.get('content-type') ?? '');
  const limits = {
    partsMax: RETRIEVE_PARTS_MAX,
    partBytesMax: RETRIEVE_PART_BYTES_MAX,
    bodyBytesMax: RETRIEVE_BYTES_MAX,
  };
  let kept = 0;
  for await (const part of readMultipart(answer.body, boundary, limits)) {
    const path = join(folder, `${retrieval.sopInstanceUid ?? 'part'}-${kept}.dcm`);
    await writeBody(path, part.body);
    const uids = await readInstanceUids(path);
    if (
      uids.studyInstanceUid !== retrieval.studyInstanceUid ||
      uids.seriesInstanceUid !== retrieval.seriesInstanceUid
    ) {
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
    if (keep({ sopInstanceUid: uids.sopInstanceUid, path })) kept++;
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
